import type { IncomingMessage } from 'node:http'
import { type OnReadOpts, Socket } from 'node:net'
import type { HeldConnection } from './held-connection.js'
import { TwoBlocks } from './two-blocks.js'

/** The connection ended before the body did, or was given up. */
export class CutError extends Error {}

/** How much is read at once for Node's parser; Node itself reads as much. */
const PIECE_BYTES = 64 * 1024
/**
 * How much is read at once past the parser. Each block is one write to the disk, by a thread that has to be woken;
 * with smaller blocks, waking it is the main cost.
 */
const BLOCK_BYTES = 2 * 1024 * 1024

/**
 * Reads the connection of a download. The head takes the usual way, through Node's HTTP parser. If the head gives the
 * body's length, the body does not: it is read into our own memory, because the parser and the streams behind it
 * spend more than twice as much on each byte as the kernel does.
 *
 * The parser then waits for a body that never comes. `isWhole` and `onSurplus` replace what it would report about the
 * body's end.
 */
export class Intake {
  /** Pass this to `net.connect`. */
  readonly onread: OnReadOpts = {
    buffer: () => this.#room(),
    callback: (bytes, memory) => this.#take(bytes, memory),
  }
  readonly #connection: HeldConnection
  readonly #onSurplus: () => void
  readonly #piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
  #socket: Socket | undefined
  #isParsing = false
  #head: { readonly response: IncomingMessage; readonly size: number } | undefined
  #body: { readonly blocks: TwoBlocks; readonly size: number } | undefined
  #bytes = 0
  #onBytes = (_bytes: number) => {}

  constructor(connection: HeldConnection, onSurplus: () => void) {
    this.#connection = connection
    this.#onSurplus = onSurplus
  }

  /** Takes over the connection that was made with `onread`. */
  connect(socket: Socket): void {
    this.#socket = socket
    socket.once('close', () => {
      if (!this.isWhole) this.cut()
    })
  }

  /** Call this as soon as there is a head: only then do we know which bytes belong to the body. */
  look(response: IncomingMessage): void {
    const length = response.headers['content-length']
    const isPlain =
      (response.statusCode === 200 || response.statusCode === 206) &&
      response.headers['transfer-encoding'] === undefined
    // Outside our own call of the parser, we can't know how much of the body it already has.
    if (this.#isParsing && isPlain && length !== undefined) this.#head = { response, size: Number(length) }
  }

  /** True if the body came this way and every byte of it was read. */
  get isWhole(): boolean {
    return this.#body !== undefined && this.#bytes === this.#body.size
  }

  /**
   * The body; undefined unless it comes this way. `onBytes` is called with the number of bytes so far, each time it
   * grows.
   */
  body(onBytes: (bytes: number) => void): TwoBlocks | undefined {
    this.#onBytes = onBytes
    if (this.#bytes > 0) onBytes(this.#bytes)
    return this.#body?.blocks
  }

  /** Fails the reading of the body with a CutError, even if unread bytes are here already. */
  cut(cause?: Error): void {
    this.#body?.blocks.fail(new CutError('The body was cut', { cause }))
  }

  #room(): Buffer {
    return this.#body === undefined || this.isWhole ? this.#piece : this.#body.blocks.room
  }

  /** Returns false to stop reading. */
  #take(bytes: number, memory: Uint8Array): boolean {
    if (this.#body !== undefined) return this.#keep(bytes)
    this.#isParsing = true
    // A copy, because the parser's side may keep it.
    const isWanted = this.#socket?.push(Buffer.from(memory.subarray(0, bytes))) ?? true
    this.#isParsing = false
    if (this.#head === undefined) return isWanted
    const { response, size } = this.#head
    this.#head = undefined
    return response.complete || response.destroyed ? isWanted : this.#divert(response, size)
  }

  /** From now on, Node's HTTP client sees nothing of the connection but its end. */
  #divert(response: IncomingMessage, size: number): boolean {
    const socket = this.#socket
    const blocks = new TwoBlocks(BLOCK_BYTES, () => {
      // The prototype's method: the socket's own is replaced below, because Node's client would call it while the
      // memory is still in use.
      if (socket !== undefined) Socket.prototype.resume.call(socket)
    })
    const early: unknown = response.read()
    // Node's HTTP client still believes that it decides when to read on.
    if (socket !== undefined) {
      socket.pause = () => socket
      socket.resume = () => socket
    }
    this.#connection.keep()
    this.#body = { blocks, size }
    return early instanceof Buffer ? this.#keep(early.copy(blocks.room)) : true
  }

  #keep(bytes: number): boolean {
    if (this.#body === undefined || this.#bytes + bytes > this.#body.size) {
      this.#onSurplus()
      return false
    }
    const { blocks, size } = this.#body
    this.#bytes += bytes
    const hasRoom = blocks.fill(bytes)
    if (this.#bytes === size) blocks.end()
    try {
      this.#onBytes(this.#bytes)
    } catch (error) {
      blocks.fail(error)
    }
    // After the last byte comes only the end, or a surplus that must be noticed.
    return hasRoom || this.isWhole
  }
}
