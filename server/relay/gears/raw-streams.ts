import { EssError } from '../../../shared/index.js'
import { connectionBelow } from '../../node/ports.js'
import { ChunkScanner, type Piece } from './chunk-scanner.js'
import { Cork } from './cork.js'
import { Countdown } from './countdown.js'
import { Ledger, MAX_QUEUED_BYTES, MAX_QUEUED_BYTES_HTTP2 } from './ledger.js'
import type { Flow, Pump } from './pump.js'
import type { RawBody } from './raw-body.js'
import { Turn } from './turn.js'
import { writeParts } from './write-parts.js'

/**
 * How much is written together. Each write wakes the receiver, and a read brings at most 64 KiB. With twice that in a
 * write, a byte costs a fifth less; with more it costs the same.
 */
const BATCH_BYTES = 128 * 1024

/** The same over HTTP/2. Its session batches by itself, and a batch counts as taken only when all of it is. */
const BATCH_BYTES_HTTP2 = 32 * 1024

/**
 * What one transfer may move in one turn of the event loop. With twice as much, a hundred transfers are not served
 * alike (Jain's index 0.8); with half of it they move a tenth less.
 */
const MAX_TURN_BYTES = 512 * 1024

/** How much is read at once where this gear has to make the memory for it. */
const READ_BYTES = 64 * 1024

const NOTHING = Buffer.alloc(0)

/**
 * The gear `streams` for a body that doesn't need Node's parser. The bytes go from the sender's connection to the
 * receiver's in the sender's own framing; to a receiver by HTTP/2, or in a response that is framed otherwise, they go
 * without it.
 */
export function rawStreamsPump(body: RawBody, flow: Flow): Pump {
  const { receiverResponse } = flow
  const isHttp2 = receiverResponse.req.httpVersionMajor === 2
  const isFramedBelow = isHttp2 || flow.isReframed
  const receiver = isFramedBelow ? receiverResponse : connectionBelow(receiverResponse)
  const batchBytes = isHttp2 ? BATCH_BYTES_HTTP2 : BATCH_BYTES
  const framing =
    body.contentLength === undefined ? new ChunkScanner(!isFramedBelow) : new Countdown(body.contentLength)
  const ledger = new Ledger(
    receiver,
    body.connection,
    goOn,
    isHttp2 ? MAX_QUEUED_BYTES_HTTP2 : MAX_QUEUED_BYTES,
  )
  const cork = new Cork(receiver)
  const turn = new Turn(MAX_TURN_BYTES, turnOver)
  let isStopped = false
  /** False while the sender waits for the receiver, or for other transfers to have their turn. */
  let isReading = false

  body.connection.on('close', lost)

  return {
    gear: 'streams',
    received: () => ledger.received,
    handedOn: () => ledger.handedOn,
    isBlocked: () => ledger.isWaiting,
    start,
    whenHandedOn: (done) => ledger.whenIdle(done),
    stop,
  }

  function start(): void {
    // Each read has memory of its own, because a write may still hold what came before.
    const first =
      body.way === 'stream'
        ? body.start({ buffer: () => NOTHING, take: (bytes) => take(bytes, bytes) })
        : body.start({
            buffer: () => Buffer.allocUnsafeSlow(READ_BYTES),
            take: (bytes) => take(bytes, NOTHING),
          })
    // The memory of the first bytes is the parser's, and nothing of it is freed here.
    isReading = first.length === 0 || take(first, NOTHING)
    if (isReading) body.resume()
  }

  /** `memory` is freed when it is written. */
  function take(bytes: Buffer, memory: Buffer): boolean {
    let piece: Piece
    try {
      piece = framing.scan(bytes)
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      flow.fail('bad-request', error.message)
      return false
    }
    ledger.received += piece.payload
    turn.spend(bytes.length)
    // The head leaves with the first piece.
    cork.hold()
    if (piece.payload > 0 && !flow.admit()) {
      // Nothing of this piece is written, and the refusal that takes its place must not stay under the cork.
      cork.release()
      return false
    }
    write(piece, memory)
    if (framing.isDone) {
      cork.release()
      body.connection.off('close', lost)
      body.finish()
      flow.senderEnded(true)
      return false
    }
    if (cork.bytes >= batchBytes) cork.release()
    isReading = !turn.isSpent && !ledger.isFull
    return isReading
  }

  function write({ pass, payload }: Piece, memory: Buffer): void {
    if (pass.length === 0) return
    for (const part of pass) cork.count(part.length)
    ledger.wrote(payload, memory)
    writeParts(receiver, pass, ledger.taken)
  }

  function turnOver(): void {
    cork.release()
    goOn()
  }

  function goOn(): void {
    if (isReading || isStopped || framing.isDone || turn.isUnderWay || ledger.isWaiting) return
    isReading = true
    body.resume()
  }

  function lost(): void {
    flow.senderEnded(false)
  }

  /** Leaves unwritten what is corked if the receiver is about to be told that it doesn't have the whole file. */
  function stop(keeps?: 'the receiver stays'): undefined {
    isStopped = true
    turn.stop()
    if (keeps !== undefined) cork.release()
    body.connection.off('close', lost)
    body.release()
  }
}
