import type { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'

/*
 * A response and what carries it, by what this service uses of them. Node's `ServerResponse` and `Socket` fit these
 * ports as they are; for a stream of HTTP/2, `http2/` has classes that fit them too. So an ending is written once.
 */

/** Takes bytes for a peer: a response, or a connection of HTTP/1.1 itself. */
export interface ByteSink {
  /** Bytes that wait in this process because the kernel has not taken them. */
  readonly writableLength: number
  /** `taken` is called when the kernel has the bytes, or with an error when it never will. */
  write(bytes: string | Uint8Array, taken?: (error?: Error | null) => void): boolean
  /** Holds what is written until `uncork` is called as often. */
  cork(): void
  uncork(): void
}

/** What carries one response: a TCP or TLS connection, or one stream of HTTP/2. */
export interface ConnectionPort extends EventEmitter {
  /** True when nothing can come of it any more. */
  readonly destroyed: boolean
  /** False as soon as nothing can be written, because the peer or we have ended it. */
  readonly writable: boolean
  readonly writableEnded: boolean
  readonly writableFinished: boolean
  /** True when the peer has closed its half in good order. */
  readonly readableEnded: boolean
  /** Closes our half. */
  end(): unknown
  /** Node calls this when it has written the last response: see `endInsteadOfClosing`. */
  destroySoon(): void
  /** Closes both halves. */
  destroy(): unknown
  /** Resets it, so that the peer can't take what it has for the whole. */
  resetAndDestroy(): unknown
  /** Emits 'timeout' on the response when no byte has moved for `ms` milliseconds; 0 for never. */
  setTimeout(ms: number): unknown
  /** Reads on, and throws away what comes. */
  resume(): unknown
  cork(): void
  uncork(): void
  /** Of a stream of HTTP/2: the connection that carries it, beside others. */
  readonly transport?: ConnectionPort
  /** Of a stream of HTTP/2: true when its peer itself has said that it has read everything. */
  readonly hasAnswered?: boolean
}

/** The request that a response answers. */
export interface RequestPort {
  readonly httpVersion: string
  readonly httpVersionMajor: number
  readonly headers: IncomingHttpHeaders
  /** True when all of its body has come. */
  readonly complete: boolean
  readonly socket: ConnectionPort
  once(event: 'end', listener: () => void): unknown
}

/**
 * A response by HTTP/1.1 or HTTP/2. Events: 'drain', 'finish' when the kernel has the last byte, 'close', and 'timeout'
 * as `setTimeout` says.
 */
export interface ResponsePort extends ByteSink, EventEmitter {
  readonly req: RequestPort
  /** Null while the response waits behind another one of its connection, and when it has been sent. */
  readonly socket: ConnectionPort | null
  statusCode: number
  /** False ends a connection of HTTP/1.1 with this response. A stream of HTTP/2 always ends with its own. */
  shouldKeepAlive: boolean
  readonly headersSent: boolean
  readonly writable: boolean
  /** True when `end` was called. */
  readonly writableEnded: boolean
  /** True when the kernel has taken the last byte. */
  readonly writableFinished: boolean
  /** True when more is waiting than should. */
  readonly writableNeedDrain: boolean
  readonly destroyed: boolean
  setHeader(name: string, value: number | string | readonly string[]): this
  hasHeader(name: string): boolean
  /** In lower case. */
  getHeaderNames(): string[]
  getHeader(name: string): number | string | string[] | undefined
  removeHeader(name: string): void
  addTrailers(trailers: Readonly<Record<string, string>>): void
  writeContinue(): void
  writeHead(status: number, headers?: OutgoingHttpHeaders): this
  flushHeaders(): void
  end(chunk?: string | Uint8Array): this
  destroy(): this
  /** Emits 'timeout' when no byte has moved for `ms` milliseconds; 0 for never. */
  setTimeout(ms: number): this
}

/** A connection emits this when it can't learn whether its peer has everything: see `docs/protocol.md`, chapter 4. */
export const UNCONFIRMED = 'unconfirmed'

/**
 * The connection below a response of HTTP/1.1, for bytes that have their framing already. Throws for HTTP/2, where only
 * the response takes bytes.
 */
export function connectionBelow({ req }: ResponsePort): ConnectionPort & ByteSink {
  if (req.httpVersionMajor !== 1) throw new Error(`Expected HTTP/1.1, got HTTP/${req.httpVersionMajor}`)
  // By HTTP/1.1 a connection is a stream of Node's.
  return req.socket as ConnectionPort & ByteSink
}
