import type { Readable } from 'node:stream'
import { interceptPush } from '../../node/push.js'

/**
 * A chunk smaller than this is copied. Node makes an object of some hundred bytes for each chunk. Below this size the
 * object is larger than the copy; if each chunk has a single byte, 64 KiB off the wire become 4 MiB.
 */
const SMALL_BYTES = 1024

/** How many bytes of small chunks make one chunk of a reasonable size. */
const BATCH_BYTES = 4096

/**
 * Gathers the small chunks of a body: those of one turn of the event loop, and, while the body isn't read, those of
 * many turns. So a body costs memory for what it holds, not for how its sender cuts it up. A small chunk that comes
 * alone is not held up.
 *
 * Call it before the body comes, and only for a body that is read by 'data' events: `read` would wait for what is held
 * back.
 */
export function gatherSmallChunks(body: Readable): void {
  const push = interceptPush(body, gather)
  let batch: Buffer | undefined
  let gathered = 0
  /** Set once this turn has brought a small chunk. */
  let turn: NodeJS.Immediate | undefined

  body.on('resume', pushBatch)

  function gather(chunk: unknown): boolean {
    if (!(chunk instanceof Uint8Array) || chunk.length >= SMALL_BYTES) {
      pushBatch()
      return push(chunk)
    }
    const isFirst = turn === undefined
    turn ??= setImmediate(turnEnded)
    if (isFirst && gathered === 0 && !isLeftWaiting()) return push(ownCopy(chunk))
    if (gathered + chunk.length > BATCH_BYTES) pushBatch()
    batch ??= Buffer.allocUnsafeSlow(BATCH_BYTES)
    batch.set(chunk, gathered)
    gathered += chunk.length
    return body.readableFlowing === true || body.readableLength + gathered < body.readableHighWaterMark
  }

  function turnEnded(): void {
    turn = undefined
    if (!isLeftWaiting()) pushBatch()
  }

  /** True while the body isn't read and a future reader has a chunk to begin with: more can wait behind that chunk. */
  function isLeftWaiting(): boolean {
    return body.readableFlowing !== true && body.readableLength > 0
  }

  function pushBatch(): void {
    if (batch === undefined || gathered === 0) return
    const bytes = ownCopy(batch.subarray(0, gathered))
    // A full batch is given away uncopied.
    if (bytes.buffer === batch.buffer) batch = undefined
    gathered = 0
    // A broken body has no reader for its last bytes.
    if (!body.destroyed) push(bytes)
  }
}

/**
 * Memory for these bytes alone. A piece of Node's pool, or (by HTTP/2) of all that was read with it, would keep the
 * rest of that memory from being freed.
 */
function ownCopy(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer.byteLength === bytes.byteLength) return bytes
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
