import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { constants, type ServerHttp2Stream } from 'node:http2'
import { EssError } from '../../shared/index.js'
import type { Line } from './line.js'

/** How long a peer that has everything may take to close its connection, before it is asked whether it has. */
const GRACE_MS = 1000

/** Emitted where it cannot be known any more whether the peer has everything: see `docs/protocol.md`, chapter 4. */
export const UNCONFIRMED = 'unconfirmed'

/**
 * Throws EssError `http-version-not-supported` for a version that can't tell a failed transfer from a whole one. That is
 * HTTP/0.9, which is also what Node's parser makes of a request line without any version, and HTTP/2 of a server that is
 * not ours: what Node's own gives for a request and a response cannot tell a body that was cut off, nor end one as if it
 * were. HTTP/1.0 is refused where it matters.
 */
export function checkVersion({ httpVersion, httpVersionMajor, socket }: IncomingMessage): void {
  if (httpVersionMajor === 1) return
  // By its type it is a socket, in any case.
  const connection: unknown = socket
  if (connection instanceof StreamConnection) return
  const got = httpVersionMajor === 0 ? `HTTP/${httpVersion}, or no version` : `HTTP/${httpVersionMajor}`
  throw new EssError('http-version-not-supported', `Expected HTTP/1.1 from this server, got ${got}`)
}

/** The response on a connection, as far as that needs to know it. */
export interface Ending {
  /** True when its last byte was given to it. */
  readonly writableEnded: boolean
  /** No byte has moved for as long as `setTimeout` says. */
  emit(event: 'timeout'): boolean
}

/**
 * One stream of HTTP/2 as if it were a connection of its own: what `net.Socket` is to an exchange of HTTP/1.1, as far
 * as the service uses it. Half-closing it, destroying it and resetting it end that one stream as it has to be ended
 * there; the others of the same connection are left alone.
 */
export class StreamConnection extends EventEmitter {
  readonly encrypted = true
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  /** As of a socket: nothing more can come of it. */
  destroyed = false
  /** The peer has had everything, and says so. */
  readableEnded = false
  /** For `resetConnection`: a reset never has to wait. */
  readonly writableEnded = false
  /** Called when the last byte of the response is out; whoever has its own plans for that replaces it. */
  destroySoon: () => void = () => undefined
  readonly #stream: ServerHttp2Stream
  readonly #line: Line
  readonly #ending: Ending
  #isEnding = false
  #idleMs = 0
  #idle: NodeJS.Timeout | undefined
  #grace: NodeJS.Timeout | undefined

  constructor(stream: ServerHttp2Stream, line: Line, ending: Ending) {
    super()
    this.#stream = stream
    this.#line = line
    this.#ending = ending
    const { remoteAddress, remotePort, localAddress, localPort } = line.socket
    Object.assign(this, { remoteAddress, remotePort, localAddress, localPort })
    stream.once('close', () => this.#streamClosed())
  }

  /** False as soon as the peer has left. */
  get writable(): boolean {
    return !this.destroyed && (this.#isWhole() || !this.#stream.closed)
  }

  /** Milliseconds in which no byte moves; 0 for no limit. It is told to the response. */
  setTimeout(ms: number): this {
    clearTimeout(this.#idle)
    this.#idleMs = ms
    this.#idle = undefined
    if (ms > 0 && !this.destroyed) this.#idle = setTimeout(() => this.#ending.emit('timeout'), ms)
    return this
  }

  /** A byte has moved. */
  touch(): void {
    if (this.#idleMs > 0) this.#idle?.refresh()
  }

  /**
   * Our half is closed: in the middle of a response, which nothing else would say that this is not its end; or, for
   * whoever asks, after it.
   */
  end(): void {
    if (!this.#ending.writableEnded) this.#abort()
    else if (this.#stream.closed && !this.#isEnding) {
      this.#isEnding = true
      this.emit('finish')
      // It never rejects, and nobody else waits for it.
      void this.#awaitWord()
    }
  }

  /** True where somebody wants to know how the response has ended at the other side: of a download. */
  get isAskedFor(): boolean {
    return this.listenerCount('finish') > 0
  }

  destroy(): void {
    this.#close(false)
    if (!this.#isWhole()) this.#abort()
  }

  resetAndDestroy(): void {
    this.#abort()
  }

  /** Nothing that comes here has to be read: it is bounded by the window. */
  resume(): void {}
  /** The session gathers what is written in one turn by itself. */
  cork(): void {}
  uncork(): void {}

  /**
   * `close` ends the writable side before it resets the stream, and sends that end first: the peer would have a whole
   * response, and a reset after it, which nobody looks at. An end that is never carried out cannot be sent.
   */
  #abort(): void {
    this.#stream._final = (done) => done()
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  #streamClosed(): void {
    const isWhole = this.#isWhole() && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
    if (isWhole && this.isAskedFor) this.destroySoon()
    else this.#close(!isWhole)
  }

  /** True when every byte of the response has left. */
  #isWhole(): boolean {
    return this.#ending.writableEnded && this.#stream.writableFinished
  }

  /**
   * curl closes its connection after a download, and what it has not read of ours by then makes its kernel reset it:
   * a question too. So it is asked only when it has not closed for a while.
   */
  async #awaitWord(): Promise<void> {
    let isAsked = false
    const grace = new Promise<boolean>((resolve) => {
      this.#grace = setTimeout(() => {
        isAsked = true
        void this.#line.isRead().then((isRead) => {
          // Otherwise the end of the connection says it.
          if (isRead) resolve(true)
        })
      }, GRACE_MS)
    })
    const isConfirmed = await Promise.race([this.#line.ended, grace])
    if (this.destroyed) return
    this.readableEnded = isConfirmed
    if (isConfirmed || !isAsked) this.#close(!isConfirmed)
    else this.emit(UNCONFIRMED)
  }

  #close(hadError: boolean): void {
    if (this.destroyed) return
    this.destroyed = true
    clearTimeout(this.#idle)
    clearTimeout(this.#grace)
    this.emit('close', hadError)
  }
}
