import { EssError } from '../../../shared/index.js'
import { ChunkScanner, type Piece } from './chunk-scanner.js'
import { Countdown } from './countdown.js'
import type { Flow, Pump } from './pump.js'
import type { RawBody } from './raw-body.js'

/** Where bytes are read into: what one read brings of a connection that is not fast. */
const SMALL_BUFFER_BYTES = 64 * 1024
/** A fast one fills this at once; a read and a write cost the same for more bytes. */
const LARGE_BUFFER_BYTES = 1024 * 1024
/** Over so many bytes the rate is taken... */
const TUNING_BYTES = 1024 * 1024
/** ...which is a fast one's when they took no longer than that: 50 MB/s. */
const FAST_MS = 20

/**
 * Small buffers that nobody uses, for the next transfers: memory outside of V8's heap makes it collect all of that the
 * sooner, and each of those collections is a millisecond in which nobody is served.
 */
const MAX_SPARE_BUFFERS = 32
const spareBuffers: Buffer[] = []

/**
 * So many transfers may fill a large buffer at once. Those of more would drive one another out of the processor's
 * cache: a hundred of them together moved two thirds of what one alone does, and with small ones nearly as much.
 */
const MAX_LARGE_BUFFERS = 4
let largeBuffers = 0

/** What leaves with the head where more is there: what takes a receiver no time to be given. */
const FIRST_BYTES = 2048

/** Of more parts than these, one is made before they are written. */
const MAX_PARTS = 4

/** How much one transfer may move before others have their turn: libuv would let it read 32 times in a row. */
const TURN_BYTES = 4 * 1024 * 1024

/**
 * The gear between two TCP connections of plain HTTP/1.1: what was read into one buffer is written from there, in
 * the sender's own framing, and the buffer is used again when the receiver's kernel has it. `length` is what of the
 * body is still to come, where some of it has gone another way.
 */
export function socketsPump(body: RawBody, flow: Flow, length = body.contentLength): Pump {
  const receiverConnection = flow.receiverResponse.req.socket
  const framing = length === undefined ? new ChunkScanner() : new Countdown(length)
  const rate = new Rate()
  let buffer = smallBuffer()
  let received = 0
  let handedOn = 0
  /** The receiver's kernel has not taken the last write, and the buffer is in use. */
  let isBlocked = false
  let isStopped = false
  /** Bytes read in this turn of the event loop. */
  let turnBytes = 0
  let isYielding = false
  let nextTurn: NodeJS.Immediate | undefined

  body.connection.on('close', lost)

  return {
    gear: 'sockets',
    received: () => received,
    handedOn: () => handedOn,
    isBlocked: () => isBlocked,
    start,
    stop,
  }

  function start(): void {
    const first = body.start({ buffer: () => buffer, take })
    if (first.length === 0) {
      body.resume()
      return
    }
    // With the head of the download, in one write: a small one, because the receiver waits for all of that.
    receiverConnection.cork()
    let goesOn = take(first.subarray(0, FIRST_BYTES))
    receiverConnection.uncork()
    const isMore = first.length > FIRST_BYTES && !isStopped && !framing.isDone
    if (isMore) goesOn = take(first.subarray(FIRST_BYTES))
    if (goesOn) body.resume()
  }

  function take(bytes: Buffer): boolean {
    let piece: Piece
    try {
      piece = framing.scan(bytes)
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      flow.fail('bad-request', error.message)
      return false
    }
    received += piece.payload
    if (piece.payload > 0 && !flow.admit()) return false
    write(piece)
    if (framing.isDone) {
      body.connection.off('close', lost)
      body.finish()
      flow.senderEnded(true)
      return false
    }
    if (isBlocked) return false
    suit(rate.isFast(bytes.length))
    return hasTurn(bytes.length)
  }

  /** Goes on with a buffer of the size that suits. */
  function suit(isFast: boolean): void {
    const wasLarge = buffer.length === LARGE_BUFFER_BYTES
    const isLarge = isFast && (wasLarge || largeBuffers < MAX_LARGE_BUFFERS)
    if (isLarge === wasLarge) return
    largeBuffers += isLarge ? 1 : -1
    if (isLarge) keepSpare(buffer)
    buffer = isLarge ? Buffer.allocUnsafeSlow(LARGE_BUFFER_BYTES) : smallBuffer()
  }

  function write({ pass, payload }: Piece): void {
    // Chunks of a byte each, whose sizes have extensions, would be an object each.
    const parts = pass.length > MAX_PARTS ? [Buffer.concat(pass)] : pass
    const last = parts.at(-1)
    if (last === undefined) return
    const isSplit = parts.length > 1
    if (isSplit) {
      receiverConnection.cork()
      for (const bytes of parts.slice(0, -1)) receiverConnection.write(bytes)
    }
    receiverConnection.write(last, (error) => taken(payload, error))
    if (isSplit) receiverConnection.uncork()
    // What the kernel has taken at once is counted by the callback as well, only a little later.
    isBlocked = receiverConnection.writableLength > 0
  }

  function taken(payload: number, error: Error | null | undefined): void {
    // A receiver that is gone is the transfer's to notice.
    if (error) return
    handedOn += payload
    if (!isBlocked || receiverConnection.writableLength > 0) return
    isBlocked = false
    if (!isStopped) body.resume()
  }

  /** False when others are to have theirs first; it goes on by itself after that. */
  function hasTurn(bytes: number): boolean {
    turnBytes += bytes
    nextTurn ??= setImmediate(() => {
      nextTurn = undefined
      turnBytes = 0
      if (isYielding && !isStopped) body.resume()
      isYielding = false
    })
    isYielding = turnBytes >= TURN_BYTES
    return !isYielding
  }

  function lost(): void {
    flow.senderEnded(false)
  }

  function stop(): undefined {
    clearImmediate(nextTurn)
    body.connection.off('close', lost)
    body.release()
    if (isStopped) return
    isStopped = true
    if (buffer.length === LARGE_BUFFER_BYTES) largeBuffers -= 1
    // While the kernel has not taken the last of it, it is in use.
    else if (!isBlocked) keepSpare(buffer)
  }
}

function smallBuffer(): Buffer {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(SMALL_BUFFER_BYTES)
}

function keepSpare(buffer: Buffer): void {
  if (spareBuffers.length < MAX_SPARE_BUFFERS) spareBuffers.push(buffer)
}

/** How fast bytes come, taken anew over every MiB. */
class Rate {
  #bytes = 0
  #sinceMs = performance.now()
  #isFast = false

  isFast(bytes: number): boolean {
    this.#bytes += bytes
    if (this.#bytes >= TUNING_BYTES) {
      const nowMs = performance.now()
      this.#isFast = (nowMs - this.#sinceMs) / this.#bytes < FAST_MS / TUNING_BYTES
      this.#bytes = 0
      this.#sinceMs = nowMs
    }
    return this.#isFast
  }
}
