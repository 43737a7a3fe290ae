import type { IncomingMessage } from 'node:http'
import type { EssError, InterruptedEvent } from '../../shared/index.js'
import type { Gear } from '../relay/gears/pump.js'
import type { Outcome, Phase } from './lifecycle.js'

/** What a listener is told about a socket. Anyone who has the id can download the file: never log it whole. */
export interface SocketInfo {
  readonly id: string
  readonly phase: Phase
  /** The sender's name for the file, made safe; undefined if it gave none, or sealed the file. */
  readonly fileName: string | undefined
  /** Bytes, as the sender declared them; undefined if the body is chunked or the sender isn't there yet. */
  readonly contentLength: number | undefined
  /** Milliseconds since 1970, by the system clock at that time. */
  readonly openedAt: number
  /** Milliseconds since it was opened or reserved, even if the system clock was set meanwhile. */
  readonly ageMs: number
  /** When it ends unless a receiver has come: milliseconds since 1970, by the system clock as it is now. */
  readonly expiresAt: number
}

/** How a socket ended. */
export interface SocketStats {
  readonly outcome: Outcome
  /** The error that both sides were told; undefined if the outcome is `delivered`. */
  readonly error: EssError | undefined
  /** Bytes handed to the receiver's connection. */
  readonly bytes: number
  /** Milliseconds from the opening or the reservation to the end. */
  readonly durationMs: number
  /** True if the receiver closed its connection in good order after the last byte. */
  readonly confirmed: boolean
  /** How the bytes of the sender's last request were moved; undefined if no receiver came. */
  readonly gear: Gear | undefined
  /** Milliseconds from the last receiver's arrival to its first byte; undefined if it got none. */
  readonly firstByteMs: number | undefined
}

/**
 * The events of a service. Each socket begins with one `socket:opened`, `socket:reserved` or `socket:reopened`, and ends
 * with exactly one of `socket:end`, `socket:timeout`, `socket:moved` and `error:socket`, after both sides were told. A listener that throws or rejects
 * breaks nothing: see `error:listener`.
 */
export interface ServiceEvents {
  /**
   * A sender came, by itself or to a reservation: the socket's id, the query of the sender's request, and the request.
   */
  'socket:opened': [socket: SocketInfo, id: string, query: URLSearchParams, request: IncomingMessage]
  /** A socket was reserved; its sender comes later. */
  'socket:reserved': [socket: SocketInfo, id: string, query: URLSearchParams, request: IncomingMessage]
  /** A sender opened its link again, which another node of the cluster had: the same as for `socket:opened`. */
  'socket:reopened': [socket: SocketInfo, id: string, query: URLSearchParams, request: IncomingMessage]
  /** A receiver came with this request, and bytes begin to move. */
  'socket:connected': [socket: SocketInfo, request: IncomingMessage]
  /**
   * A peer has lost its connection, and may come back within `resumeWithin`. `side` is whose connection is missing. The
   * next event follows, or one that ends the socket, or this one again when the other side is lost too.
   */
  'socket:interrupted': [socket: SocketInfo, side: InterruptedEvent['side']]
  /** Both peers are there again, and bytes move from this offset of the file on. */
  'socket:resumed': [socket: SocketInfo, offset: number]
  /**
   * Bytes handed to the receiver's connection so far: the offset behind the last one. At most 4 times a second, and
   * before `socket:interrupted`, but only when the number has changed. After `socket:resumed` it may be lower, because
   * the receiver lost what was on its way.
   */
  'socket:progress': [socket: SocketInfo, bytes: number]
  /** Terminal: every byte was delivered. */
  'socket:end': [socket: SocketInfo, stats: SocketStats]
  /** Terminal: no receiver came in time. */
  'socket:timeout': [socket: SocketInfo, stats: SocketStats]
  /** Terminal here: this node of a cluster stops, and the transfer can go on at another one. */
  'socket:moved': [socket: SocketInfo, stats: SocketStats]
  /** Terminal: it failed. */
  'error:socket': [socket: SocketInfo, stats: SocketStats]
  /** A receiver asked for an id that doesn't exist, or is over. */
  'error:not-found': [error: EssError, request: IncomingMessage]
  /** An upload was refused for its declared size. One found too large midway is an `error:socket`. */
  'error:max-upload': [error: EssError, request: IncomingMessage]
  /** A reservation was refused for its Referer. */
  'error:referer': [error: EssError, request: IncomingMessage]
  /**
   * A request was answered with a problem: every such request, including those above. An error with a cause is a bug.
   */
  'request:refused': [error: EssError, request: IncomingMessage]
  /** A listener of `event` failed. Without a listener of this event, it becomes a process warning. */
  'error:listener': [error: unknown, event: string]
}
