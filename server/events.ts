import type { IncomingMessage } from 'node:http'
import type { EssError } from '../shared/index.js'
import type { Outcome, Phase } from './lifecycle.js'

/** What a listener may know of a socket. Whoever has the id has the file: never write it to a log whole. */
export interface SocketInfo {
  readonly id: string
  readonly phase: Phase
  /** As the sender named it, made safe; undefined when it did not. */
  readonly fileName: string | undefined
  /** Bytes, as declared by the sender; undefined when its body is chunked. */
  readonly contentLength: number | undefined
  /** Milliseconds since 1970. */
  readonly openedAt: number
}

/** How a socket ended. */
export interface SocketStats {
  readonly outcome: Outcome
  /** What both sides were told; undefined when the outcome is `delivered`. */
  readonly error: EssError | undefined
  /** Bytes handed to the receiver's connection. */
  readonly bytes: number
  /** Milliseconds from the opening to the end. */
  readonly durationMs: number
  /** True when the receiver closed its connection in good order after the last byte. */
  readonly confirmed: boolean
}

/** The events of a service. Each socket has one `socket:opened` and, last, one `socket:end`. */
export interface ServiceEvents {
  /** A sender came; its early response is out. */
  'socket:opened': [socket: SocketInfo]
  /** A receiver came; bytes begin to move. */
  'socket:connected': [socket: SocketInfo]
  /** It is over, well or not; both legs have been ended. */
  'socket:end': [socket: SocketInfo, stats: SocketStats]
  /** A request was answered with a problem. A cause that is not an EssError is a bug of the server's. */
  'request:refused': [error: EssError, request: IncomingMessage]
}
