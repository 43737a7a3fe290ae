import { EssError } from '../../../shared/index.js'
import { ChunkScanner, type Piece } from './chunk-scanner.js'
import { Countdown } from './countdown.js'
import { freeChunks } from './free-chunks.js'
import type { Flow, Pump } from './pump.js'
import type { RawBody } from './raw-body.js'
import { FREED_TOGETHER, MAX_QUEUED_BYTES, MAX_QUEUED_BYTES_HTTP2, MAX_QUEUED_WRITES } from './streams.js'

/**
 * What is written together. Each write wakes the receiver up, and a read brings no more than 64 KiB: of twice as much a
 * byte costs a fifth less. Of more it costs the same.
 */
const BATCH_BYTES = 128 * 1024

/** The same over HTTP/2, whose session batches by itself, and where what is written together counts when all of it is taken. */
const BATCH_BYTES_HTTP2 = 32 * 1024

/**
 * What one transfer may move in one turn of the event loop. With twice as much a hundred at once are not served alike
 * (Jain's index 0.8); with half of it they move a tenth less.
 */
const MAX_TURN_BYTES = 512 * 1024

/** Of more parts than these, one is made before they are written. */
const MAX_PARTS = 4

const NOTHING = Buffer.alloc(0)

/** What the kernel has not taken yet. */
interface Write {
  /** Bytes of the file in it. */
  readonly payload: number
  /** What was read, which nobody else has any more when it is written; of what the parser has read, nothing. */
  readonly read: Buffer | undefined
}

/**
 * The gear `streams` where Node's parser can be left out: the bytes go from the sender's connection to the receiver's
 * in the sender's own framing; to a receiver by HTTP/2 without it.
 */
export function rawStreamsPump(body: RawBody, flow: Flow): Pump {
  const { receiverResponse } = flow
  const isHttp2 = receiverResponse.req.httpVersionMajor === 2
  // Below the response, which would put a framing of its own around it.
  const receiver = isHttp2 ? receiverResponse : receiverResponse.req.socket
  const maxQueuedBytes = isHttp2 ? MAX_QUEUED_BYTES_HTTP2 : MAX_QUEUED_BYTES
  const batchBytes = isHttp2 ? BATCH_BYTES_HTTP2 : BATCH_BYTES
  const framing =
    body.contentLength === undefined ? new ChunkScanner(!isHttp2) : new Countdown(body.contentLength)
  /** Oldest first. */
  const pending: Write[] = []
  let spent: Buffer[] = []
  let received = 0
  let handedOn = 0
  /** The end of this turn of the event loop; undefined while nothing has come in it. */
  let turn: NodeJS.Immediate | undefined
  let bytesOfTurn = 0
  let isCorked = false
  let corkedBytes = 0
  let isStopped = false
  /** False when the sender waits for the receiver, or for others to have their turn. */
  let isReading = false

  body.connection.on('close', lost)

  return {
    gear: 'streams',
    received: () => received,
    handedOn: () => handedOn,
    isBlocked: () => pending.length > 0,
    start,
    stop,
  }

  function start(): void {
    const first = body.start({ buffer: () => NOTHING, take: (bytes) => take(bytes, bytes) })
    isReading = first.length === 0 || take(first, undefined)
    if (isReading) body.resume()
  }

  function take(bytes: Buffer, read: Buffer | undefined): boolean {
    let piece: Piece
    try {
      piece = framing.scan(bytes)
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      flow.fail('bad-request', error.message)
      return false
    }
    received += piece.payload
    turn ??= setImmediate(turnOver)
    // The head as well, if this is the first piece.
    cork()
    if (piece.payload > 0 && !flow.admit()) {
      // Of this piece nothing is written; what is said instead must not be left in there.
      uncork()
      return false
    }
    write(piece, read)
    if (framing.isDone) {
      uncork()
      body.connection.off('close', lost)
      body.finish()
      flow.senderEnded(true)
      return false
    }
    if (corkedBytes >= batchBytes) uncork()
    bytesOfTurn += bytes.length
    isReading = bytesOfTurn < MAX_TURN_BYTES && !isFull()
    return isReading
  }

  function isFull(): boolean {
    return receiver.writableLength >= maxQueuedBytes || pending.length >= MAX_QUEUED_WRITES
  }

  function write({ pass, payload }: Piece, read: Buffer | undefined): void {
    // Chunks of a byte each would be an object each.
    const parts = pass.length > MAX_PARTS ? [Buffer.concat(pass)] : pass
    const last = parts.at(-1)
    if (last === undefined) return
    for (const part of parts) corkedBytes += part.length
    for (const part of parts.slice(0, -1)) receiver.write(part)
    pending.push({ payload, read })
    receiver.write(last, taken)
  }

  function taken(error?: Error | null): void {
    const write = pending.shift()
    // A receiver that is gone is the transfer's to notice.
    if (write === undefined || error) return
    handedOn += write.payload
    if (write.read !== undefined) spent.push(write.read)
    if (spent.length >= FREED_TOGETHER || pending.length === 0) freeSpent()
    goOn()
  }

  function freeSpent(): void {
    // Whoever listens to the sender's connection beside us may still be using it.
    if (body.connection.listenerCount('data') <= 1) freeChunks(spent)
    spent = []
  }

  function turnOver(): void {
    turn = undefined
    bytesOfTurn = 0
    uncork()
    goOn()
  }

  function goOn(): void {
    if (isReading || isStopped || framing.isDone || turn !== undefined || pending.length > 0) return
    isReading = true
    body.resume()
  }

  function cork(): void {
    if (isCorked) return
    isCorked = true
    corkedBytes = 0
    receiver.cork()
  }

  function uncork(): void {
    if (!isCorked) return
    isCorked = false
    receiver.uncork()
  }

  function lost(): void {
    flow.senderEnded(false)
  }

  /** What is corked is not written any more: the receiver is about to be told that it has not got the whole. */
  function stop(): undefined {
    isStopped = true
    clearImmediate(turn)
    body.connection.off('close', lost)
    body.release()
  }
}
