import type { IncomingMessage } from 'node:http'
import {
  type InterruptedEvent,
  type StatusEvent,
  type TerminalEvent,
  toFailedProblem,
} from '../../shared/index.js'
import type { Cors } from '../answer/cors.js'
import type { ProgressClock } from '../answer/progress-clock.js'
import type { Relay } from '../relay/relay.js'
import type { Delivery } from './delivery.js'
import type { SocketInfo, SocketStats } from './events.js'
import type { Input } from './lifecycle.js'
import type { Segment } from './segment.js'
import type { UploadTokens } from './upload-tokens.js'

/** What is fixed when a socket is made. */
export interface SocketTerms {
  readonly id: string
  /** What the links of its upload resource begin with. */
  readonly base: string
  readonly ttlMs: number
  /** How long a peer that has lost its connection may take to come back; 0 if none may. */
  readonly returnMs: number
  /** Only where the sender asked for more than the server allows. */
  readonly askedTtlMs?: number
  readonly maxUploadBytes: number
  readonly stallTimeoutMs: number
  readonly relay: Relay
  readonly cors: Cors
  readonly progress: ProgressClock
  /** Gives the client's share back. The observer calls it when the socket has ended. */
  readonly giveBack: () => void
}

/** The socket as its effects see it. */
export interface Subject extends SocketInfo {
  readonly terms: SocketTerms
  readonly tokens: UploadTokens
  /** True if the sender can go on by another request. */
  readonly isResumable: boolean
  /** The event that says where the socket is now. */
  state(): StatusEvent
  apply(input: Input, cause?: Cause): void
}

/** Is told about the life of each socket. */
export interface SocketObserver {
  connected(socket: Subject, receiverRequest: IncomingMessage): void
  interrupted(socket: Subject, side: InterruptedEvent['side']): void
  resumed(socket: Subject, bytes: number): void
  progress(socket: Subject, bytes: number): void
  closed(socket: Subject, stats: SocketStats): void
}

/** What comes with an input. */
export interface Cause {
  /** With `sender-arrived`. */
  readonly segment?: Segment
  /** With `receiver-arrived`. */
  readonly delivery?: Delivery
  /** With an input that ends the socket: why, for people on both sides. */
  readonly detail?: string | undefined
  /** With `delivered`: the receiver closed its connection in good order. */
  readonly isConfirmed?: boolean
  /** With the loss of a peer: it will not come back. */
  readonly isForGood?: boolean
  /** When `closed` is entered. */
  readonly ending?: Ending
}

/** How a socket ended. */
export type Ending = Pick<SocketStats, 'outcome' | 'error' | 'bytes' | 'confirmed'>

/** The same as both sides are told it. */
export function verdictOf({ error, bytes, confirmed }: Omit<Ending, 'outcome'>): TerminalEvent {
  return error === undefined
    ? { event: 'delivered', bytes, confirmed }
    : { event: 'failed', problem: toFailedProblem(error), bytes }
}
