import type { ResponsePort } from '../../node/ports.js'

/** The ways to move bytes, the least costly last. */
export const GEARS = ['streams', 'sockets', 'splice'] as const
export type Gear = (typeof GEARS)[number]

/** How a transfer can fail. */
export type TransferFailure =
  | 'sender-lost'
  | 'receiver-lost'
  | 'bad-request'
  | 'no-file-in-form'
  | 'too-large'
  | 'stalled'
  | 'internal-error'

/** What both sides are told of a sender that closed its half too early. */
export const SENDER_CLOSED_ITS_HALF =
  'The sender closed its side of the connection before the end of the file. Send it again for a new link.'

/** A transfer, as its pump sees it. After `senderEnded` or `fail`, further calls have no effect. */
export interface Flow {
  /** `admit` writes its head. */
  readonly receiverResponse: ResponsePort
  /** Milliseconds without a byte moving; 0 for no limit. */
  readonly stallTimeoutMs: number
  /** The declared length of the sender's body in bytes; undefined when it is chunked. */
  readonly length: number | undefined
  /**
   * True if the receiver's response has a framing of its own: bytes go into the response, and never with the sender's
   * framing. The body has a length and the response chunks, or the other way round; or another body may have to go on
   * where this one breaks off.
   */
  readonly isReframed: boolean
  /**
   * Call it when more bytes of the file have come, and `received` counts them. True: they may be written. False: there
   * are too many, and the transfer has ended.
   */
  admit(): boolean
  /** The sender's body has ended. `isWhole` is false if bytes are missing. */
  senderEnded(isWhole: boolean): void
  /** The transfer can't go on. `detail` is for people, on both sides; by default it says that a peer was lost. */
  fail(input: TransferFailure, detail?: string): void
}

/** Moves the bytes of one transfer from the sender to the receiver, at the receiver's pace. Each gear has one. */
export interface Pump {
  readonly gear: Gear
  /** Bytes of the file that have come from the sender. */
  received(): number
  /** Bytes of the file that the kernel has taken for the receiver. */
  handedOn(): number
  /** True while the receiver has bytes to take: a stall is then the receiver's. */
  isBlocked(): boolean
  /** Begins to read. Call it at most once. */
  start(): void
  /** Calls `done` once the kernel has taken every byte that has come. Call it at most once, when no more will come. */
  whenHandedOn(done: () => void): void
  /**
   * Lets go of both sides. Every byte that was received stays on its way to a receiver that stays; from one that is
   * about to be told of a failure, what can be held back is. Returns a promise if that takes a while, and does so again
   * if called again.
   */
  stop(keeps?: 'the receiver stays'): Promise<void> | undefined
}
