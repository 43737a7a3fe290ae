import { EssError } from '../../../shared/index.js'
import { connectionBelow } from '../../node/ports.js'
import { ChunkScanner, type Piece } from './chunk-scanner.js'
import { Cork } from './cork.js'
import { Countdown } from './countdown.js'
import { Ledger } from './ledger.js'
import type { Flow, Pump } from './pump.js'
import type { RawBody } from './raw-body.js'
import { Turn } from './turn.js'
import { writeParts } from './write-parts.js'

/** The buffer that bytes are read into: as much as one read brings on a connection that isn't fast. */
const SMALL_BUFFER_BYTES = 64 * 1024
/** A fast connection fills this at once, and a read and a write cost the same for more bytes. */
const LARGE_BUFFER_BYTES = 1024 * 1024
/** The rate is taken over this many bytes... */
const TUNING_BYTES = 1024 * 1024
/** ...and a connection is fast if they took no longer than this: 50 MB/s. */
const FAST_MS = 20

/**
 * Unused small buffers are kept for the next transfers. Memory outside V8's heap makes V8 collect garbage sooner, and
 * each of those collections stops the process for a millisecond.
 */
const MAX_SPARE_BUFFERS = 32
const spareBuffers: Buffer[] = []

/**
 * How many transfers may use a large buffer at once. More large buffers push one another out of the processor's cache:
 * a hundred of them together moved two thirds of what one alone does, and small buffers move nearly as much.
 */
const MAX_LARGE_BUFFERS = 4
let largeBuffers = 0

/** How much leaves with the head, if more is there: a receiver takes this much at once. */
const FIRST_BYTES = 2048

/** How much one transfer may move before others have their turn: libuv would let it read 32 times in a row. */
const TURN_BYTES = 4 * 1024 * 1024

/**
 * The gear between two TCP connections of plain HTTP/1.1. It reads into one buffer, writes from there in the sender's
 * own framing, and uses the buffer again once the receiver's kernel has taken it. `length` is how much of the body is
 * still to come, if some of it has gone another way. Throws if the receiver's response is by HTTP/2.
 */
export function socketsPump(body: RawBody, flow: Flow, length = body.contentLength): Pump {
  const receiverConnection = connectionBelow(flow.receiverResponse)
  const framing = length === undefined ? new ChunkScanner() : new Countdown(length)
  const ledger = new Ledger(receiverConnection, body.connection, handedOn)
  const cork = new Cork(receiverConnection)
  const turn = new Turn(TURN_BYTES, turnOver)
  const rate = new Rate()
  let buffer = smallBuffer()
  /** True while the receiver's kernel has not taken the last write, and the buffer is in use. */
  let isBlocked = false
  /** True while the sender waits for others to have their turn. */
  let isYielding = false
  let isStopped = false

  body.connection.on('close', lost)

  return {
    gear: 'sockets',
    received: () => ledger.received,
    handedOn: () => ledger.handedOn,
    isBlocked: () => isBlocked,
    start,
    whenHandedOn: (done) => ledger.whenIdle(done),
    stop,
  }

  function start(): void {
    const first = body.start({ buffer: () => buffer, take })
    if (first.length === 0) {
      body.resume()
      return
    }
    // With the head of the download, in one write: a small one, because the receiver waits for all of that.
    cork.hold()
    let goesOn = take(first.subarray(0, FIRST_BYTES))
    cork.release()
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
    ledger.received += piece.payload
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
    turn.spend(bytes.length)
    isYielding = turn.isSpent
    return !isYielding
  }

  /** Goes on with a buffer of the size that suits the connection. */
  function suit(isFast: boolean): void {
    const wasLarge = buffer.length === LARGE_BUFFER_BYTES
    const isLarge = isFast && (wasLarge || largeBuffers < MAX_LARGE_BUFFERS)
    if (isLarge === wasLarge) return
    largeBuffers += isLarge ? 1 : -1
    if (isLarge) keepSpare(buffer)
    buffer = isLarge ? Buffer.allocUnsafeSlow(LARGE_BUFFER_BYTES) : smallBuffer()
  }

  function write({ pass, payload }: Piece): void {
    if (pass.length === 0) return
    ledger.wrote(payload)
    writeParts(receiverConnection, pass, ledger.taken)
    // If the kernel has taken all of it at once, the callback comes a little later.
    isBlocked = receiverConnection.writableLength > 0
  }

  function handedOn(): void {
    if (!isBlocked || receiverConnection.writableLength > 0) return
    isBlocked = false
    if (!isStopped) body.resume()
  }

  function turnOver(): void {
    if (isYielding && !isStopped) body.resume()
    isYielding = false
  }

  function lost(): void {
    flow.senderEnded(false)
  }

  function stop(): undefined {
    turn.stop()
    body.connection.off('close', lost)
    body.release()
    if (isStopped) return
    isStopped = true
    if (buffer.length === LARGE_BUFFER_BYTES) largeBuffers -= 1
    // A buffer that the kernel has not taken whole is still in use.
    else if (!isBlocked) keepSpare(buffer)
  }
}

function smallBuffer(): Buffer {
  return spareBuffers.pop() ?? Buffer.allocUnsafeSlow(SMALL_BUFFER_BYTES)
}

function keepSpare(buffer: Buffer): void {
  if (spareBuffers.length < MAX_SPARE_BUFFERS) spareBuffers.push(buffer)
}

/** How fast bytes come, measured anew over each MiB. */
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
