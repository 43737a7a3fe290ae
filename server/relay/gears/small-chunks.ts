import type { Readable } from 'node:stream'

/**
 * A chunk below this is copied. Node makes an object of each, of some hundred bytes beside its own: of one that has
 * fewer than these, that is more than the copy costs; of a single byte, 64 KiB off the wire become 4 MiB.
 */
const SMALL_BYTES = 1024

/** How many bytes of small chunks make one of a reasonable size. */
const BATCH_BYTES = 4096

/**
 * Lets the small chunks of a body come in batches: those of one turn of the event loop together, and while nobody
 * reads, those of many. So a body costs what it holds, and not what its sender makes of it. A small chunk that comes
 * alone is not held up.
 *
 * For a body whose reader listens to 'data': who calls `read` would wait for what is held back. Called before it comes.
 */
export function gatherSmallChunks(body: Readable): void {
  const push = body.push
  let batch: Buffer | undefined
  let gathered = 0
  /** There while this turn has brought a small chunk already. */
  let turn: NodeJS.Immediate | undefined

  // Not a literal: see `endGently`.
  body.push = gather
  body.on('resume', pushBatch)

  function gather(chunk: unknown): boolean {
    if (!(chunk instanceof Uint8Array) || chunk.length >= SMALL_BYTES) {
      pushBatch()
      return push.call(body, chunk)
    }
    const isFirst = turn === undefined
    turn ??= setImmediate(turnEnded)
    if (isFirst && gathered === 0 && !isLeftWaiting()) return push.call(body, ownCopy(chunk))
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

  /** Nobody reads, and there is something to read for whoever begins to: more can wait with it. */
  function isLeftWaiting(): boolean {
    return body.readableFlowing !== true && body.readableLength > 0
  }

  function pushBatch(): void {
    if (batch === undefined || gathered === 0) return
    const bytes = ownCopy(batch.subarray(0, gathered))
    // A full one is given away.
    if (bytes.buffer === batch.buffer) batch = undefined
    gathered = 0
    // A broken body's last bytes are for nobody.
    if (!body.destroyed) push.call(body, bytes)
  }
}

/** Not of Node's pool, nor, as by HTTP/2, a piece of all that was read with it: it would keep that from being freed. */
function ownCopy(bytes: Uint8Array): Uint8Array {
  if (bytes.buffer.byteLength === bytes.byteLength) return bytes
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
