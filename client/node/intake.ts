import type { IncomingMessage } from 'node:http'
import { type OnReadOpts, Socket } from 'node:net'
import type { HeldConnection } from './held-connection.js'
import { TwoBlocks } from './two-blocks.js'

/** The connection ended before the body did, or was given up. */
export class CutError extends Error {}

/** What is read at once while Node's parser gets it; the same that Node itself takes. */
const PIECE_BYTES = 64 * 1024
/** A block goes to the disk in one write, by a thread that has to be woken: with smaller ones that is what costs. */
const BLOCK_BYTES = 2 * 1024 * 1024

/**
 * Reads the connection of a download. Its head goes the usual way, through Node's HTTP parser. Where that says
 * how long the body is, the body does not: it is read into memory of our own, because the parser, and the
 * streams behind it, spend more than twice as much on each byte as the kernel does.
 *
 * The parser then waits for a body that never comes. What it would say of its end is said here: `isWhole`,
 * and `onSurplus` for bytes after the last one.
 */
export class Intake {
  /** For `net.connect`. */
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

  /** Takes the connection that was made with `onread`. */
  connect(socket: Socket): void {
    this.#socket = socket
    socket.once('close', () => {
      if (!this.isWhole) this.cut()
    })
  }

  /** To be called as soon as there is a head: only then is it known which bytes are the body's. */
  look(response: IncomingMessage): void {
    const length = response.headers['content-length']
    const isPlain = response.statusCode === 200 && response.headers['transfer-encoding'] === undefined
    // Outside of our own call of the parser, who knows how much of the body it has already.
    if (this.#isParsing && isPlain && length !== undefined) this.#head = { response, size: Number(length) }
  }

  /** True when every byte of a body that came this way was read. */
  get isWhole(): boolean {
    return this.#body !== undefined && this.#bytes === this.#body.size
  }

  /** The body, where it comes this way. `onBytes` is told how many there are, whenever there are more. */
  body(onBytes: (bytes: number) => void): TwoBlocks | undefined {
    this.#onBytes = onBytes
    if (this.#bytes > 0) onBytes(this.#bytes)
    return this.#body?.blocks
  }

  /** Whoever reads the body gets a CutError, also in place of bytes that are here already. */
  cut(cause?: Error): void {
    this.#body?.blocks.fail(new CutError('The body was cut', { cause }))
  }

  #room(): Buffer {
    return this.#body === undefined || this.isWhole ? this.#piece : this.#body.blocks.room
  }

  /** Returns false when reading has to stop. */
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

  /** From here on, Node's HTTP client sees nothing of the connection but its end. */
  #divert(response: IncomingMessage, size: number): boolean {
    const socket = this.#socket
    const blocks = new TwoBlocks(BLOCK_BYTES, () => {
      // The method that was hidden below: its own would read into memory that is still in use.
      if (socket !== undefined) Socket.prototype.resume.call(socket)
    })
    const early: unknown = response.read()
    // It still believes that it has to say when to read on.
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
    // After the last byte there is only the end to be read, or what must not be there.
    return hasRoom || this.isWhole
  }
}
