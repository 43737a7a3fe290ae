import type { Readable } from 'node:stream'
import { EssError } from '../../../shared/index.js'
import { timings } from '../../node/timings.js'
import { Cork } from './cork.js'
import { lastByteWaits } from './last-byte.js'
import { Ledger, MAX_QUEUED_BYTES, MAX_QUEUED_BYTES_HTTP2 } from './ledger.js'
import type { Flow, Pump } from './pump.js'
import { Turn } from './turn.js'

/**
 * What one transfer may move in one turn of the event loop. During its turn its bytes stay in the processor's caches
 * from the sender's write to the receiver's read: with a hundred transfers, a byte costs half as much as with a quarter
 * of this. With more, the turns are no longer shared out evenly.
 */
const MAX_TURN_BYTES = 1024 * 1024

/**
 * A chunk of at least this size is written at once, while it is in those caches, along with what waits before it.
 * Smaller chunks wait for such a one, or for the end of the turn.
 */
const LARGE_BYTES = 32 * 1024

/** The bytes of the sender's file as Node gives them: the request itself, or the file part of the form in it. */
export interface StreamBody {
  readonly stream: Readable
  /** After the stream's end: true if that was the end of the whole file. */
  isWhole(): boolean
}

/**
 * The gear for what Node's parser must read: forms, HTTP/2, small bodies, and a body that the parser has begun with.
 * Small pieces that arrive in one turn of the event loop leave in one write, and those of a chunked body as one chunk.
 */
export function streamsPump({ stream, isWhole }: StreamBody, flow: Flow): Pump {
  const { receiverResponse } = flow
  // Kept, because a finished response has let go of it.
  const receiverConnection = receiverResponse.req.socket
  const isHttp2 = receiverResponse.req.httpVersionMajor === 2
  const ledger = new Ledger(
    receiverResponse,
    stream,
    goOn,
    isHttp2 ? MAX_QUEUED_BYTES_HTTP2 : MAX_QUEUED_BYTES,
  )
  const cork = new Cork(receiverResponse, receiverConnection)
  const turn = new Turn(MAX_TURN_BYTES, turnOver)
  /** Writes the last byte of a file that the receiver may refuse; until then the file has no end. */
  let lastByte: NodeJS.Timeout | undefined
  /** What that last byte is. */
  let withheld: Buffer | undefined
  let isEnded = false
  let isStopped = false

  stream.on('end', ended).on('close', lost).on('error', failed)

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
    if (!stream.destroyed) {
      stream.on('data', forward)
      // A host's middleware may have paused it, to look something up.
      if (stream.isPaused()) stream.resume()
    }
    // A form that broke while its sender waited has said so before there was a listener here.
    else if (stream.errored) failed(stream.errored)
    else lost()
  }

  function forward(chunk: Buffer): void {
    ledger.received += chunk.length
    turn.spend(chunk.length)
    // The head leaves with the first chunk.
    cork.hold()
    if (!flow.admit()) return
    const isLast = ledger.received === flow.length
    if (isLast && lastByteWaits(receiverResponse.req, ledger.received)) writeButLast(chunk)
    else write(chunk)
    if (chunk.length >= LARGE_BYTES) cork.release()
    if (ledger.isFull || turn.isSpent) stream.pause()
  }

  function write(chunk: Buffer): void {
    ledger.wrote(chunk.length, chunk)
    receiverResponse.write(chunk, ledger.taken)
  }

  function writeButLast(chunk: Buffer): void {
    const last = chunk.length - 1
    if (last > 0) write(chunk.subarray(0, last))
    withheld = chunk.subarray(last)
    lastByte = setTimeout(() => {
      writeWithheld()
      if (isEnded) ended()
    }, timings.lastByteMs)
  }

  function writeWithheld(): void {
    lastByte = undefined
    if (withheld !== undefined) write(withheld)
    withheld = undefined
  }

  function turnOver(): void {
    cork.release()
    goOn()
  }

  /** Not by 'drain': if all but a few bytes were taken at once, Node never asked for a pause, and emits no 'drain'. */
  function goOn(): void {
    if (!isStopped && !turn.isUnderWay && !ledger.isWaiting && stream.isPaused()) stream.resume()
  }

  function ended(): void {
    isEnded = true
    if (lastByte !== undefined) return
    cork.release()
    flow.senderEnded(isWhole())
  }

  function lost(): void {
    // The whole file is here, and only its last byte waits.
    if (isEnded) return
    flow.senderEnded(false)
  }

  function failed(error: Error): void {
    // A form's parser finds these; any other error is a connection that broke.
    const isFormBroken =
      error instanceof EssError && (error.code === 'bad-request' || error.code === 'no-file-in-form')
    if (isFormBroken) flow.fail(error.code, error.message)
    else lost()
  }

  /** Leaves unwritten what is corked if the receiver is about to be told that it doesn't have the whole file. */
  function stop(keeps?: 'the receiver stays'): undefined {
    isStopped = true
    turn.stop()
    clearTimeout(lastByte)
    if (keeps !== undefined) {
      writeWithheld()
      cork.release()
    }
    stream.off('data', forward).off('end', ended).off('close', lost).off('error', failed)
    // Without a listener a broken connection would crash the process.
    stream.on('error', () => undefined)
  }
}
