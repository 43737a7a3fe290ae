import { EventEmitter } from 'node:events'
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { ResponsePort } from '../node/ports.js'
import { timings } from '../node/timings.js'
import { StreamConnection } from './connection.js'
import type { Line } from './line.js'
import { type Http2Head, Http2Request } from './request.js'
import type { Unread, UnreadAnswers } from './unread.js'

/**
 * How much of a download of known length is kept back until its end. curl is content with the last byte, and closes
 * its connection before it has read the end of the stream, unless both come in one frame.
 */
const KEPT_BACK_BYTES = 1024

/** Fields about the connection have no place in HTTP/2 (RFC 9113, 8.2.2): each stream ends by itself. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding'])

type Taken = (error?: Error | null) => void

/**
 * A response by HTTP/2. Node's own (`Http2ServerResponse`) ends the stream in a frame of its own, after the last byte,
 * and calls an aborted one finished.
 */
export class Http2Response extends EventEmitter implements ResponsePort, Unread {
  readonly req: Http2Request
  readonly socket: StreamConnection
  statusCode = 200
  shouldKeepAlive = true
  readonly #stream: ServerHttp2Stream
  readonly #line: Line
  readonly #unread: UnreadAnswers
  readonly #headers: OutgoingHttpHeaders = {}
  readonly #trailers: OutgoingHttpHeaders = {}
  #isEnded = false
  /** Bytes still to come; NaN if the head doesn't say how many there are. */
  #left = Number.NaN
  #keptBack: Uint8Array | undefined
  /** Writes that the kernel has not taken. */
  #pending = 0
  #hasWritten = false
  /** To be called when the whole answer has left. */
  #taken: (() => void) | undefined

  constructor(stream: ServerHttp2Stream, head: Http2Head, line: Line, unread: UnreadAnswers) {
    super()
    this.req = new Http2Request(stream, head, line, this)
    this.#stream = stream
    this.#line = line
    this.#unread = unread
    this.socket = new StreamConnection(stream, line, this)
    stream
      .on('drain', () => this.emit('drain'))
      .on('wantTrailers', () => {
        if (!this.#isGone) stream.sendTrailers(this.#trailers)
      })
      .once('finish', () => this.#finished())
      .once('close', () => {
        this.#taken?.()
        this.emit('close')
      })
  }

  get headersSent(): boolean {
    return this.#stream.headersSent
  }

  get writable(): boolean {
    return !this.#isEnded && !this.#isGone
  }

  get writableEnded(): boolean {
    return this.#isEnded
  }

  get writableFinished(): boolean {
    return this.#isEnded && this.#stream.writableFinished
  }

  get writableLength(): number {
    return this.#stream.writableLength
  }

  get writableNeedDrain(): boolean {
    return this.#stream.writableNeedDrain
  }

  get destroyed(): boolean {
    return this.#isGone
  }

  setHeader(name: string, value: number | string | readonly string[]): this {
    const key = name.toLowerCase()
    if (!OF_THE_CONNECTION.has(key)) this.#headers[key] = typeof value === 'object' ? [...value] : value
    return this
  }

  hasHeader(name: string): boolean {
    return name.toLowerCase() in this.#headers
  }

  getHeaderNames(): string[] {
    return Object.keys(this.#headers)
  }

  getHeader(name: string): OutgoingHttpHeaders[string] {
    return this.#headers[name.toLowerCase()]
  }

  removeHeader(name: string): void {
    delete this.#headers[name.toLowerCase()]
  }

  addTrailers(trailers: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(trailers)) this.#trailers[name.toLowerCase()] = value
  }

  writeContinue(): void {
    if (!this.#isGone) this.#stream.additionalHeaders({ ':status': constants.HTTP_STATUS_CONTINUE })
  }

  writeHead(status: number, headers: OutgoingHttpHeaders = {}): this {
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) this.setHeader(name, value)
    this.statusCode = status
    if (this.#isGone) return this
    this.#left = Number(this.#headers['content-length'])
    this.#stream.respond(
      { ...this.#headers, ':status': status },
      { waitForTrailers: this.hasHeader('Trailer') },
    )
    return this
  }

  flushHeaders(): void {
    if (!this.headersSent) this.writeHead(this.statusCode)
  }

  cork(): void {
    this.#stream.cork()
  }

  uncork(): void {
    this.#stream.uncork()
  }

  /** `taken` is called when the kernel has the bytes; for those that are kept back, when it has the others. */
  write(chunk: string | Uint8Array, taken: Taken = () => undefined): boolean {
    this.flushHeaders()
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (this.#isGone || this.#isEnded) {
      process.nextTick(taken, new Error('Expected a response that is open'))
      return false
    }
    this.socket.touch()
    this.#left -= bytes.length
    const isLast = this.#left === 0
    const now = isLast ? bytes.subarray(0, -KEPT_BACK_BYTES) : bytes
    // A copy, because the caller may use its memory again.
    if (isLast) this.#keptBack = Uint8Array.prototype.slice.call(bytes, now.length)
    if (now.length === 0) {
      process.nextTick(taken)
      return true
    }
    this.#hasWritten = true
    this.#pending++
    return this.#stream.write(now, (error) => {
      this.#pending--
      this.socket.touch()
      taken(error)
      if (this.#pending === 0) this.emit('taken')
    })
  }

  end(chunk?: string | Uint8Array): this {
    if (this.#isEnded) return this
    if (chunk !== undefined && chunk.length > 0) this.write(chunk)
    this.flushHeaders()
    this.#isEnded = true
    // A download's transfer times it.
    if (!this.socket.isAskedFor) this.#taken = this.#unread.add(this)
    // It never rejects, and the stream's events carry the result.
    if (this.socket.isAskedFor && this.#hasWritten) void this.#endWhenRead()
    else this.#end()
    return this
  }

  giveUp(): void {
    this.socket.resetAndDestroy()
    this.#line.retire()
  }

  destroy(): this {
    this.socket.resetAndDestroy()
    return this
  }

  setTimeout(ms: number): this {
    this.socket.setTimeout(ms)
    return this
  }

  get #isGone(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }

  /** Sends the end of a download once the peer has read the rest: the two would have to be confirmed together. */
  async #endWhenRead(): Promise<void> {
    if (this.#pending > 0) await new Promise((resolve) => this.once('taken', resolve).once('close', resolve))
    let deadline: NodeJS.Timeout | undefined
    const enough = new Promise<void>((resolve) => {
      deadline = setTimeout(resolve, timings.readMs)
      this.once('close', resolve)
    })
    await Promise.race([this.#line.isRead(), enough])
    clearTimeout(deadline)
    this.socket.touch()
    this.#end()
  }

  #end(): void {
    if (this.#isGone) return
    if (this.#keptBack === undefined) this.#stream.end()
    else this.#stream.end(this.#keptBack)
  }

  #finished(): void {
    if (!this.#isEnded) return
    this.#taken?.()
    this.emit('finish')
    // The rest of a request that is answered is not wanted (RFC 9113, 8.1). In another turn, because the end of the
    // response must come first.
    if (!this.req.complete) setImmediate(() => this.#stream.close(constants.NGHTTP2_NO_ERROR))
  }
}
