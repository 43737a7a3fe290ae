import type { IncomingMessage } from 'node:http'
import type { EssError } from '../../shared/index.js'
import type { Gear } from '../relay/gears/pump.js'
import type { Outcome, Phase } from './lifecycle.js'

/** What a listener may know of a socket. Whoever has the id has the file: never write it to a log whole. */
export interface SocketInfo {
  readonly id: string
  readonly phase: Phase
  /** As the sender named it, made safe; undefined when it did not. */
  readonly fileName: string | undefined
  /** Bytes, as declared by the sender; undefined when its body is chunked, or not there yet. */
  readonly contentLength: number | undefined
  /** Milliseconds since 1970, by the clock as it was then. */
  readonly openedAt: number
  /** Milliseconds since it was opened or reserved, whatever the clock was set to meanwhile. */
  readonly ageMs: number
  /** Milliseconds since 1970, by the clock as it is now: when it ends unless a receiver has come. */
  readonly expiresAt: number
}

/** How a socket ended. */
export interface SocketStats {
  readonly outcome: Outcome
  /** What both sides were told; undefined when the outcome is `delivered`. */
  readonly error: EssError | undefined
  /** Bytes handed to the receiver's connection. */
  readonly bytes: number
  /** Milliseconds from the opening or the reservation to the end. */
  readonly durationMs: number
  /** True when the receiver closed its connection in good order after the last byte. */
  readonly confirmed: boolean
  /** How the bytes were moved; undefined when no receiver came. */
  readonly gear: Gear | undefined
  /** Milliseconds from the receiver's coming to the first byte handed on to it; undefined when there was none. */
  readonly firstByteMs: number | undefined
}

/**
 * The events of a service. Each socket begins with one `socket:opened` or `socket:reserved`, and ends with
 * exactly one of `socket:end`, `socket:timeout` and `error:socket`, when both legs have been ended.
 * A listener that throws, or whose promise is rejected, breaks nothing: see `error:listener`.
 */
export interface ServiceEvents {
  /** A sender came (also to a reservation): its id, the query of its request, and that request. */
  'socket:opened': [socket: SocketInfo, id: string, query: URLSearchParams, request: IncomingMessage]
  /** An id was given out whose sender comes later. */
  'socket:reserved': [socket: SocketInfo, id: string, query: URLSearchParams, request: IncomingMessage]
  /** A receiver came, by this request; bytes begin to move. */
  'socket:connected': [socket: SocketInfo, request: IncomingMessage]
  /** Bytes handed to the receiver's connection so far; at most 4 times a second, and only when it has changed. */
  'socket:progress': [socket: SocketInfo, bytes: number]
  /** Terminal: every byte was delivered. */
  'socket:end': [socket: SocketInfo, stats: SocketStats]
  /** Terminal: nobody came in time. */
  'socket:timeout': [socket: SocketInfo, stats: SocketStats]
  /** Terminal: it failed. */
  'error:socket': [socket: SocketInfo, stats: SocketStats]
  /** A receiver asked for an id that is not there, or is over. */
  'error:not-found': [error: EssError, request: IncomingMessage]
  /** An upload was refused for its declared size; one that turns out too large midway is `error:socket`. */
  'error:max-upload': [error: EssError, request: IncomingMessage]
  /** A reservation was refused for its Referer. */
  'error:referer': [error: EssError, request: IncomingMessage]
  /** A request was answered with a problem: every one, those above too. A cause is a bug of the server's. */
  'request:refused': [error: EssError, request: IncomingMessage]
  /** A listener of `event` failed. Where nobody listens to this, it becomes a process warning. */
  'error:listener': [error: unknown, event: string]
}
