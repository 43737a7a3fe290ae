import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { EssError } from '../../../shared/index.js'
import { type RawReading, readByBuffer, readByStream, stopFilling } from '../../node/raw-reading.js'
import { canReadIntoBuffer, isAtEndOfHead, isReadByParserAlone } from '../../node/socket-inside.js'
import { ChunkScanner } from './chunk-scanner.js'

/** How much of a body is read before it has a reader. It shows that the sender is there; more would only be memory. */
const HELD_BYTES = 1024

/** Shared by all bodies without a reader: what was read into it is copied before the next read. */
const holdBuffer = Buffer.allocUnsafeSlow(HELD_BYTES)

const NOTHING = Buffer.alloc(0)

/**
 * How a raw body is read: into a buffer of the reader's, or by the connection's own stream. The stream works over TLS
 * too, and gives each read memory of its own.
 */
export type Way = 'buffer' | 'stream'

/** Reads a raw body. */
export interface RawReader {
  /** Returns where the next bytes go. Called at the start, and after each `take`; by stream the result is not used. */
  buffer(): Buffer
  /**
   * Takes the bytes at the beginning of the buffer. False: read no more until `resume`, and leave the buffer alone. By
   * stream a little more may still come: what TLS has decrypted with them.
   */
  take(bytes: Buffer): boolean
}

/**
 * The body of a request below Node's HTTP parser, with its framing, straight from the connection. In everything else
 * (its answer, its errors, its end) the connection remains the request's own.
 */
export class RawBody {
  readonly way: Way
  readonly connection: Socket
  /** The declared length of the body in bytes; undefined if it is chunked. */
  readonly contentLength: number | undefined
  readonly #request: IncomingMessage
  readonly #broken: (detail: string) => void
  readonly #reading: RawReading
  /** What came before there was a reader. */
  #held = NOTHING
  #reader: RawReader | undefined
  #isStopped = false
  #isReleased = false
  #isWhole = false

  /**
   * Takes the body of a request that has one. Call it within the very event that brought the request: whatever is read
   * after that comes here. The connection can't serve another request afterwards. `broken` is called if the framing is
   * found broken before there is a reader; after that the reader finds it.
   *
   * Returns undefined if the body can't be taken: into a buffer over TLS, on a Node whose inside has changed, while
   * other code reads the connection, or when the parser has begun with the framing.
   */
  static take(
    request: IncomingMessage,
    broken: (detail: string) => void,
    way: Way = 'buffer',
  ): RawBody | undefined {
    const { headers, socket } = request
    const isChunked = headers['transfer-encoding'] !== undefined
    const length = Number(headers['content-length'] ?? 0)
    const hasBody = isChunked || length > 0
    if (request.httpVersionMajor !== 1 || request.complete || !hasBody) return undefined
    if (!(way === 'buffer' ? canReadIntoBuffer(socket) : isReadByParserAlone(socket))) return undefined
    if (isChunked && !isAtEndOfHead(socket)) return undefined
    return new RawBody(request, isChunked ? undefined : length, broken, way)
  }

  private constructor(
    request: IncomingMessage,
    contentLength: number | undefined,
    broken: (detail: string) => void,
    way: Way,
  ) {
    this.#request = request
    this.#broken = broken
    this.way = way
    this.connection = request.socket
    this.contentLength = contentLength
    const filled = (bytes: Buffer) => this.#filled(bytes)
    const nextBuffer = () => this.#reader?.buffer() ?? holdBuffer
    this.#reading =
      way === 'stream'
        ? readByStream(this.connection, filled)
        : readByBuffer(this.connection, holdBuffer, filled, nextBuffer)
  }

  /** True when its reader has had all of it. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /**
   * Gives the body to `reader` from now on, and returns what has been read already. Call it in a later turn of the
   * event loop than `take`: the parser gives out the rest of what it was reading in between.
   */
  start(reader: RawReader): Buffer {
    const held: Buffer[] = []
    while (this.#request.readableLength > 0) {
      // A request without an encoding gives buffers.
      held.push(this.#request.read() as Buffer)
    }
    if (this.#held.length > 0) held.push(this.#held)
    // From here only the reader says when to read: its buffer may be in use.
    stopFilling(this.#request)
    this.#held = NOTHING
    this.#reader = reader
    this.pause()
    this.#reading.into(reader.buffer)
    // Usually there is one buffer, of what came with the head: 64 KiB that need not be copied.
    const [only = NOTHING] = held
    return held.length > 1 ? Buffer.concat(held) : only
  }

  /** Reads on. */
  resume(): void {
    if (this.#isReleased) return
    this.#isStopped = false
    this.#reading.resume()
  }

  /** Reads no more until `resume`. */
  pause(): void {
    this.#isStopped = true
    this.#reading.pause()
  }

  /** The reader has had all of the body. What may follow on the connection is not part of it. */
  finish(): void {
    this.#isWhole = true
    this.release()
  }

  /** The reader wants no more. If the connection is resumed, what still comes is thrown away. */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#held = NOTHING
    this.#reading.leave(this.#reader !== undefined)
    this.#reader = undefined
  }

  /** No byte of a chunked body has been parsed, so what is held begins where the body does. */
  #checkFraming(): void {
    try {
      new ChunkScanner().scan(this.#held)
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      this.#broken(error.message)
    }
  }

  #filled(bytes: Buffer): boolean {
    if (this.#isReleased) return true
    if (this.#reader === undefined) {
      this.#held = Buffer.concat([this.#held, bytes])
      if (this.contentLength === undefined) this.#checkFraming()
      return this.#held.length < HELD_BYTES
    }
    if (this.#isStopped && this.way === 'buffer') {
      // If Node reads on regardless, it has overwritten a buffer in use: no byte of that may pass for the file's.
      this.connection.destroy(new Error('Expected no bytes while reading was stopped'))
      return false
    }
    // The result alone doesn't say it: `take` may itself have stopped the reading, or started it again.
    if (!this.#reader.take(bytes)) this.#isStopped = true
    return !this.#isStopped
  }
}
