import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { EssError } from '../../../shared/index.js'
import {
  canReadIntoBuffer,
  isAtEndOfHead,
  isReadByParserAlone,
  readInto,
  setReading,
} from '../../node/node-inside.js'
import { ChunkScanner } from './chunk-scanner.js'

/** What is read of a body that nobody wants yet. It shows that its sender is there; more would only be memory. */
const HELD_BYTES = 1024

/** Shared by all who wait: what was read into it is copied before the next read. */
const holdBuffer = Buffer.allocUnsafeSlow(HELD_BYTES)

const NOTHING = Buffer.alloc(0)
const readNothing = () => undefined

/**
 * How a raw body is read: into a buffer of the reader's, or by the connection's own stream, which TLS has too, and
 * which gives each read memory of its own.
 */
export type Way = 'buffer' | 'stream'

/** Whoever reads a raw body. */
export interface RawReader {
  /** Where the next bytes are to be read into: asked at the start, and after each `take`. By stream it is of no use. */
  buffer(): Buffer
  /**
   * The bytes at the beginning of the buffer. False: no more until `resume`, and the buffer is left alone. By stream
   * a little more may come all the same: what TLS has decrypted with them.
   */
  take(bytes: Buffer): boolean
}

/**
 * The body of a request below Node's HTTP parser, with its framing, straight from the connection. That stays the
 * request's own in everything else: its answer, its errors, its end.
 */
export class RawBody {
  readonly way: Way
  readonly connection: Socket
  /** Bytes of the body as declared; undefined when it is chunked. */
  readonly contentLength: number | undefined
  readonly #request: IncomingMessage
  readonly #broken: (detail: string) => void
  readonly #reading: Reading
  /** What came before anybody read. */
  #held = NOTHING
  #reader: RawReader | undefined
  #isStopped = false
  #isReleased = false
  #isWhole = false

  /**
   * Takes the body of a request that has one, within the very event that brought the request: what is read after
   * that comes here. The connection can serve no other request afterwards. Undefined when it cannot be taken: into
   * a buffer over TLS, on a Node whose inside has changed, where somebody else reads the connection, or when the parser
   * has begun with the framing already. `broken` is called when its framing is found broken before anybody reads it;
   * afterwards that is the reader's to find.
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
    this.#reading =
      way === 'stream'
        ? byStream(this.connection, filled)
        : byBuffer(this.connection, filled, () => this.#reader?.buffer() ?? holdBuffer)
  }

  /** True when its reader has had all of it. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /**
   * Gives the body to `reader`, from now on; returns what has been read of it already. Called in another turn of the
   * event loop than `take` was: the parser gives out the rest of what it was reading then.
   */
  start(reader: RawReader): Buffer {
    const held: Buffer[] = []
    while (this.#request.readableLength > 0) {
      // A request without an encoding gives buffers.
      held.push(this.#request.read() as Buffer)
    }
    if (this.#held.length > 0) held.push(this.#held)
    // From here nobody but the reader says when to read: the buffer may be in use.
    this.#request._read = readNothing
    this.#held = NOTHING
    this.#reader = reader
    this.pause()
    this.#reading.into(reader.buffer)
    // What came with the head, mostly: 64 KiB that need not be copied.
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

  /** The reader has had all of the body: what may follow on the connection is not its. */
  finish(): void {
    this.#isWhole = true
    this.release()
  }

  /** The reader wants no more. Whatever still comes on the connection, if anybody lets it, is thrown away. */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#held = NOTHING
    this.#reading.leave(this.#reader !== undefined)
    this.#reader = undefined
  }

  /** Nothing has been parsed of a chunked body, so what is held begins where it does. */
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
      // Whatever made Node read on has written over a buffer in use: no byte of that may pass for the file's.
      this.connection.destroy(new Error('Expected no bytes while reading was stopped'))
      return false
    }
    // Not by its result alone: what it does may stop the reading, or start it again, meanwhile.
    if (!this.#reader.take(bytes)) this.#isStopped = true
    return !this.#isStopped
  }
}

/** What the two ways of reading have in common. */
interface Reading {
  /** A reader begins; `buffer` is where its first bytes are to go. */
  into(buffer: () => Buffer): void
  resume(): void
  pause(): void
  /** Nobody reads any more: as long as nobody resumes the connection, nothing more comes than it holds by itself. */
  leave(hadReader: boolean): void
}

function byBuffer(connection: Socket, filled: (bytes: Buffer) => boolean, nextBuffer: () => Buffer): Reading {
  readInto(connection, holdBuffer, { filled, nextBuffer })
  // For such a listener node:http takes its parser off the connection (`unconsume` in lib/_http_server.js).
  connection.on('readable', readNothing)
  return {
    into: (buffer) => readInto(connection, buffer()),
    resume: () => setReading(connection, true),
    pause: () => setReading(connection, false),
    leave: (hadReader) => {
      if (!hadReader) return
      setReading(connection, false)
      readInto(connection, holdBuffer)
    },
  }
}

/**
 * By 'data' of the connection, for which node:http takes its parser off as well. The stream would go on reading up to
 * its high-water mark when it is paused, beside what has been read already; so it is stopped where it asks for more.
 */
function byStream(connection: Socket, filled: (bytes: Buffer) => boolean): Reading {
  const [parse] = connection.listeners('data')
  const read = connection._read
  let isPaused = false
  let isLeft = false
  connection.on('data', take)
  if (parse !== undefined) connection.off('data', parse as (bytes: Buffer) => void)
  // Not a literal: see `endGently`.
  connection._read = readUnlessPaused
  // The parser pauses it when the rest of what it was reading is enough to hold.
  process.nextTick(() => {
    if (connection.isPaused()) pause()
  })
  return {
    into: () => connection.resume(),
    resume: () => {
      isPaused = false
      connection.resume()
      setReading(connection, true)
    },
    pause,
    leave: () => {
      isLeft = true
      isPaused = false
      connection.pause()
      // So that whoever resumes it finds a stream that knows that it has to read.
      setReading(connection, true)
    },
  }

  function take(bytes: Buffer): void {
    if (!filled(bytes)) pause()
  }

  /** Whoever took the last bytes wants no more of them; but then they have left already, and the end is to be seen. */
  function pause(): void {
    if (isLeft) return
    isPaused = true
    setReading(connection, false)
  }

  function readUnlessPaused(bytes: number): void {
    if (!isPaused) read.call(connection, bytes)
  }
}
