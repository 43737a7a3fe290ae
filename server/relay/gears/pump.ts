import type { ResponsePort } from '../../node/ports.js'

/** The ways to move bytes, the least costly last. */
export const GEARS = ['streams', 'sockets', 'splice'] as const
export type Gear = (typeof GEARS)[number]

/** How a transfer ends badly. */
export type TransferFailure =
  | 'sender-lost'
  | 'receiver-lost'
  | 'bad-request'
  | 'no-file-in-form'
  | 'too-large'
  | 'stalled'
  | 'internal-error'

/** What both sides are told of a sender that ended its own half too early, whoever notices it. */
export const SENDER_CLOSED_ITS_HALF = 'the sender closed its half of the connection before its body was whole'

/** What a pump has of its transfer. After the first of `whole` and `fail` none of it has any effect. */
export interface Flow {
  /** The receiver's: its head is written by `admit`. */
  readonly receiverResponse: ResponsePort
  /** Milliseconds without a byte moving; 0 for no limit. */
  readonly stallTimeoutMs: number
  /** The declared length of the sender's body in bytes; undefined when it is chunked. */
  readonly total: number | undefined
  /**
   * More bytes of the file have come, and `received` says so: they may be written when this is true. False has
   * ended the transfer, because they are too many.
   */
  admit(): boolean
  /** The sender's body came to its end: whole or, when bytes are missing, not. */
  senderEnded(isWhole: boolean): void
  /** It cannot go on. `detail` is for people, on both sides; a lost peer has one of its own. */
  fail(input: TransferFailure, detail?: string): void
}

/** Moves the bytes of one transfer from the sender to the receiver, at the receiver's pace: one for each gear. */
export interface Pump {
  readonly gear: Gear
  /** Bytes of the file that have come from the sender. */
  received(): number
  /** Bytes of it that the kernel has taken for the receiver. */
  handedOn(): number
  /** True while the receiver has bytes to take: a stall is its doing. */
  isBlocked(): boolean
  /** Begins to read. Called at most once. */
  start(): void
  /** Lets go of both sides; a promise where that takes a while. Called again, the same. */
  stop(): Promise<void> | undefined
}
