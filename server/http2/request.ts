import { Http2ServerRequest, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { RequestPort } from '../node/ports.js'
import type { StreamConnection } from './connection.js'
import type { Line } from './line.js'

/** How long a client that has ended its body may take to cancel it after all. */
const SECOND_THOUGHTS_MS = 5000

/** Node's class, as far as it is used here. The members that HTTP/1.1 has otherwise are declared anew below. */
const NodeRequest = Http2ServerRequest as unknown as new (
  ...parameters: ConstructorParameters<typeof Http2ServerRequest>
) => Readable & Pick<Http2ServerRequest, 'headers' | 'httpVersion' | 'httpVersionMajor' | 'stream'>

/** The head of a request, as Node gives it. */
export interface Http2Head {
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: string[]
}

/**
 * A request by HTTP/2 in the terms of HTTP/1.1: the Host, a body of unknown length, the connection, and whether the
 * body has come whole. To Node a body that was cut off is complete too.
 */
export class Http2Request extends NodeRequest implements RequestPort {
  readonly #line: Line
  readonly #response: { readonly socket: StreamConnection }
  readonly #isOfUnknownLength: boolean
  #isWhole: boolean
  #isEndHeld = false

  /** Changes `head` to what HTTP/1.1 would say. */
  constructor(
    stream: ServerHttp2Stream,
    { headers, rawHeaders }: Http2Head,
    line: Line,
    response: { readonly socket: StreamConnection },
  ) {
    const authority = headers[':authority']
    if (authority !== undefined) headers.host = authority
    const isOfUnknownLength = !stream.endAfterHeaders && headers['content-length'] === undefined
    if (isOfUnknownLength) headers['transfer-encoding'] = 'chunked'
    super(stream, headers, {}, rawHeaders)
    this.#line = line
    this.#response = response
    this.#isOfUnknownLength = isOfUnknownLength
    this.#isWhole = stream.endAfterHeaders
    if (!this.#isWhole && !isOfUnknownLength) stream.once('end', () => this.#believeEnd())
  }

  get socket(): StreamConnection {
    return this.#response.socket
  }

  get connection(): StreamConnection {
    return this.socket
  }

  get complete(): boolean {
    return this.#isWhole
  }

  /**
   * A client of Node's that gives up sends END_STREAM, and RST_STREAM in a packet behind it. If no length shows that
   * bytes are missing, the end of a body is held until one round trip has brought nothing behind it.
   */
  override push(chunk: unknown): boolean {
    // If the stream is closed, this is not the end of its body, and `complete` says so.
    const isEnd = chunk === null && this.#isOfUnknownLength && !this.#isEndHeld && !this.stream.destroyed
    if (!isEnd) return this.#isOfUnknownLength && this.readableEnded ? false : super.push(chunk)
    this.#isEndHeld = true
    // It never rejects.
    void this.#endWhenSure()
    return false
  }

  async #endWhenSure(): Promise<void> {
    await Promise.race([this.#line.isRead(), delay(SECOND_THOUGHTS_MS, undefined, { ref: false })])
    this.#believeEnd()
    if (!this.readableEnded) super.push(null)
  }

  #believeEnd(): void {
    this.#isWhole ||= !this.stream.closed && !this.stream.destroyed
  }
}
