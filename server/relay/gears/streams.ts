import type { Readable } from 'node:stream'
import { EssError } from '../../../shared/index.js'
import { freeChunks } from './free-chunks.js'
import { LAST_BYTE_MS, lastByteWaits } from './last-byte.js'
import type { Flow, Pump } from './pump.js'

/**
 * How much may wait in this process for a receiver. Node asks for a pause at 16 KiB, and every pause costs a turn
 * of the event loop in which the kernel's buffers run empty. Much more is memory that a slow receiver holds, and a
 * hundred transfers drive one another out of the processor's caches.
 */
export const MAX_QUEUED_BYTES = 256 * 1024

/**
 * The same over HTTP/2, where a receiver counts as stalled when it has not taken a whole write in time: so much in a
 * minute is slow enough.
 */
export const MAX_QUEUED_BYTES_HTTP2 = 128 * 1024

/** And in so many writes: each costs some hundred bytes beside its own, of which it may have a single one. */
export const MAX_QUEUED_WRITES = 1024

/**
 * What one transfer may move in one turn of the event loop. As long as it has its turn, its bytes are in the processor's
 * caches from its sender's write to its receiver's read: of a hundred transfers a byte costs half as much with this
 * as with a quarter of it. With more, the turns are no longer shared out evenly.
 */
const MAX_TURN_BYTES = 1024 * 1024

/**
 * A chunk from this on is written at once, while it is in those caches, and with it what waits. Smaller ones wait for
 * it, or for the end of the turn.
 */
const LARGE_BYTES = 32 * 1024

/** So many chunks of up to 64 KiB are freed by one call. */
export const FREED_TOGETHER = 16

/** The bytes of the sender's file as Node gives them: its request itself, or the file part of the form in it. */
export interface StreamBody {
  readonly stream: Readable
  /** After the stream's end: whether that was the end of the whole file. */
  isWhole(): boolean
}

/**
 * The gear for what Node's parser has to read: forms, HTTP/2, small bodies, one that it has begun with. What arrives in
 * one turn of the event loop in small pieces leaves in one write, and a chunked body as one chunk.
 */
export function streamsPump({ stream, isWhole }: StreamBody, flow: Flow): Pump {
  const { receiverResponse } = flow
  // Kept, because a finished response has let go of it.
  const receiverConnection = receiverResponse.req.socket
  const isHttp2 = receiverResponse.req.httpVersionMajor === 2
  const maxQueuedBytes = isHttp2 ? MAX_QUEUED_BYTES_HTTP2 : MAX_QUEUED_BYTES
  /** The writes that the kernel has not taken yet, oldest first. */
  const pending: Buffer[] = []
  /** What the kernel has taken, and may be freed: together, because each call costs the same. */
  let spent: Buffer[] = []
  let received = 0
  let handedOn = 0
  /** The end of this turn of the event loop; undefined while nothing has come in it. */
  let turn: NodeJS.Immediate | undefined
  let bytesOfTurn = 0
  let isCorked = false
  /** Writes the last byte, which waits for a receiver that may refuse the file; until then there is no end. */
  let lastByte: NodeJS.Timeout | undefined
  let isEnded = false

  stream.on('end', ended).on('close', lost).on('error', failed)

  return {
    gear: 'streams',
    received: () => received,
    handedOn: () => handedOn,
    isBlocked: () => pending.length > 0,
    start,
    stop,
  }

  function start(): void {
    if (!stream.destroyed) {
      stream.on('data', forward)
      // A host's middleware may have paused it, to look something up.
      if (stream.isPaused()) stream.resume()
    }
    // A form that broke while its sender waited: it has told of that already, when nobody here listened.
    else if (stream.errored) failed(stream.errored)
    else lost()
  }

  function forward(chunk: Buffer): void {
    received += chunk.length
    turn ??= setImmediate(turnOver)
    if (!isCorked) {
      // The head as well, if this is the first chunk.
      receiverResponse.cork()
      isCorked = true
    }
    if (!flow.admit()) return
    if (received === flow.total && lastByteWaits(receiverResponse.req, received)) writeButLast(chunk)
    else write(chunk)
    if (chunk.length >= LARGE_BYTES) uncork()
    bytesOfTurn += chunk.length
    const isFull = receiverResponse.writableLength >= maxQueuedBytes || pending.length >= MAX_QUEUED_WRITES
    if (isFull || bytesOfTurn >= MAX_TURN_BYTES) stream.pause()
  }

  function write(chunk: Buffer): void {
    pending.push(chunk)
    receiverResponse.write(chunk, taken)
  }

  function writeButLast(chunk: Buffer): void {
    const last = chunk.length - 1
    if (last > 0) write(chunk.subarray(0, last))
    lastByte = setTimeout(() => {
      lastByte = undefined
      write(chunk.subarray(last))
      if (isEnded) ended()
    }, LAST_BYTE_MS)
  }

  function turnOver(): void {
    turn = undefined
    bytesOfTurn = 0
    uncork()
    goOn()
  }

  function uncork(): void {
    if (!isCorked) return
    isCorked = false
    // As one write, also where Node makes several of it for a chunked body.
    receiverConnection.cork()
    receiverResponse.uncork()
    receiverConnection.uncork()
  }

  /** Not by 'drain': where all but a few bytes were taken at once, Node never asked for a pause, and tells of none. */
  function goOn(): void {
    if (turn === undefined && pending.length === 0 && stream.isPaused()) stream.resume()
  }

  function taken(error?: Error | null): void {
    const chunk = pending.shift()
    if (chunk === undefined || error) return
    handedOn += chunk.length
    spent.push(chunk)
    if (spent.length >= FREED_TOGETHER || pending.length === 0) freeSpent()
    goOn()
  }

  function freeSpent(): void {
    // Whoever listens to the sender's body beside us may still be using it.
    if (stream.listenerCount('data') <= 1) freeChunks(spent)
    spent = []
  }

  function ended(): void {
    isEnded = true
    if (lastByte !== undefined) return
    uncork()
    flow.senderEnded(isWhole())
  }

  function lost(): void {
    // All of it is here, and waits with its last byte.
    if (isEnded) return
    flow.senderEnded(false)
  }

  function failed(error: Error): void {
    // What a form's parser found; everything else is a connection that broke.
    const isFormBroken =
      error instanceof EssError && (error.code === 'bad-request' || error.code === 'no-file-in-form')
    if (isFormBroken) flow.fail(error.code, error.message)
    else lost()
  }

  /** What is corked is not written any more: the receiver is about to be told that it has not got the whole. */
  function stop(): undefined {
    clearImmediate(turn)
    clearTimeout(lastByte)
    stream.off('data', forward).off('end', ended).off('close', lost).off('error', failed)
    // Nobody listens any more, and a broken connection is no reason to crash.
    stream.on('error', () => undefined)
  }
}
