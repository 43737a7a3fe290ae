import { EventEmitter } from 'node:events'
import { constants, type ServerHttp2Stream } from 'node:http2'
import { setTruthful } from '../node/http-version.js'
import { abortStream, destroyWhenFinished } from '../node/http2-stream.js'
import { type ConnectionPort, UNCONFIRMED } from '../node/ports.js'
import type { Line } from './line.js'

/** How long a peer that has everything may take to close its connection, before it is asked whether it has. */
const GRACE_MS = 1000

/** The response on a connection, by what the connection needs of it. */
export interface Ending {
  /** True when its last byte was written. */
  readonly writableEnded: boolean
  /** No byte has moved for as long as `setTimeout` says. */
  emit(event: 'timeout'): boolean
}

/**
 * One stream of HTTP/2 as a connection of its own: what `net.Socket` is to an exchange of HTTP/1.1. Half-closing,
 * destroying and resetting it end this one stream, the way HTTP/2 ends one, and leave the connection's other streams
 * alone.
 */
export class StreamConnection extends EventEmitter implements ConnectionPort {
  readonly encrypted = true
  readonly remoteAddress: string | undefined
  readonly remotePort: number | undefined
  readonly localAddress: string | undefined
  readonly localPort: number | undefined
  destroyed = false
  /** True when the peer has said that it has everything. */
  readableEnded = false
  /** For `resetConnection`: a stream can always be reset at once. */
  readonly writableEnded = false
  readonly writableFinished = false
  readonly transport: ConnectionPort
  hasAnswered = false
  /** Called when the last byte of the response is out. */
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
    this.transport = line.socket
    const { remoteAddress, remotePort, localAddress, localPort } = line.socket
    Object.assign(this, { remoteAddress, remotePort, localAddress, localPort })
    setTruthful(this)
    destroyWhenFinished(stream, () => line.isRead())
    stream.once('close', () => this.#streamClosed())
  }

  /** False as soon as the peer has left. */
  get writable(): boolean {
    return !this.destroyed && (this.#isWhole() || !this.#stream.closed)
  }

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
   * Closes our half. In the middle of a response this resets the stream: nothing else would say that this is not the
   * response's end. After the response it asks whether the peer has everything.
   */
  end(): void {
    if (!this.#ending.writableEnded) this.resetAndDestroy()
    else if (this.#stream.closed && !this.#isEnding) {
      this.#isEnding = true
      this.emit('finish')
      // It never rejects, and its events carry the result.
      void this.#awaitWord()
    }
  }

  /** True if a transfer waits to learn how the response ended at the peer: for a download. */
  get isAskedFor(): boolean {
    return this.listenerCount('finish') > 0
  }

  destroy(): void {
    this.#close(false)
    if (!this.#isWhole()) this.resetAndDestroy()
  }

  resetAndDestroy(): void {
    abortStream(this.#stream)
  }

  /** Nothing here has to be read for the peer's sake: the window bounds what can come. */
  resume(): void {}
  /** The session gathers by itself what is written in one turn. */
  cork(): void {}
  uncork(): void {}

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
   * Waits until the peer has closed its connection in good order, or has answered a question. A program that was killed
   * closes it so, too: whether its kernel had everything is for our kernel to say. curl closes its
   * connection after a download, and its kernel resets the connection if curl has not read all of ours by then; a
   * question would be one more thing unread. So the peer is asked only when it has not closed for a while.
   */
  async #awaitWord(): Promise<void> {
    let isAsked = false
    const grace = new Promise<boolean>((resolve) => {
      this.#grace = setTimeout(() => {
        isAsked = true
        void this.#line.isRead().then((isRead) => {
          // If not, the end of the connection decides.
          if (!isRead) return
          this.hasAnswered = true
          resolve(true)
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
