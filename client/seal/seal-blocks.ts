import type { SealedTags } from '../../shared/sealed-tags.js'
import { keepFreedMemory } from './freed-memory.js'
import { CHUNK_BYTES, SEALED_CHUNK_BYTES, sealChunk } from './payload.js'

/** As many as the blocks that a file is read in. */
const CHUNKS_AT_ONCE = 32

/** Where a run of sealing begins. */
export interface SealingStart {
  /** The chunk that the first byte of the blocks is the first one of. */
  readonly index: number
  /** What comes out before that chunk: the header, or the rest of it. */
  readonly head: Uint8Array
}

/**
 * Seals a plaintext as it comes. A block that comes out is valid until you ask for the next one; then its memory is used
 * again. A chunk waits until the next byte, or the end, tells whether it is the last one. If `isCurrent` is false at the end of
 * the blocks, that isn't the end of the plaintext, and no last chunk is made. Throws EssError `file-changed` rather than seal
 * something else than `tags` knows.
 */
export async function* sealBlocks(
  key: Uint8Array,
  blocks: AsyncIterable<Uint8Array>,
  { index: firstIndex, head }: SealingStart,
  tags: SealedTags,
  isCurrent: () => boolean,
): AsyncGenerator<Buffer> {
  keepFreedMemory()
  const out = Buffer.allocUnsafeSlow(head.length + (CHUNKS_AT_ONCE + 1) * SEALED_CHUNK_BYTES)
  const begun = Buffer.allocUnsafeSlow(CHUNK_BYTES)
  let begunBytes = 0
  let index = firstIndex
  out.set(head)
  let end = head.length

  for await (const block of blocks) {
    let at = begunBytes === 0 ? 0 : keep(block)
    // What is begun is full now. If nothing is left, it may be the last chunk.
    if (begunBytes > 0 && at < block.length) {
      seal(begun, false)
      begunBytes = 0
    }
    for (; block.length - at > CHUNK_BYTES; at += CHUNK_BYTES) {
      if (out.length - end < SEALED_CHUNK_BYTES) yield take()
      seal(block.subarray(at, at + CHUNK_BYTES), false)
    }
    keep(block.subarray(at))
    if (index > firstIndex && end > 0) yield take()
  }
  if (!isCurrent()) return
  // An empty chunk is the last one of an empty file alone. Behind others, it means that the last one is out already.
  if (begunBytes > 0 || index === 0) seal(begun.subarray(0, begunBytes), true)
  if (end > 0) yield take()

  function seal(plain: Uint8Array, isLast: boolean): void {
    end = sealChunk(key, index, isLast, plain, out, end)
    tags.check(index, out, end)
    index++
  }

  function take(): Buffer {
    const sealed = out.subarray(0, end)
    end = 0
    return sealed
  }

  /** Returns how many of the bytes had room. */
  function keep(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, CHUNK_BYTES - begunBytes)
    begun.set(taken, begunBytes)
    begunBytes += taken.length
    return taken.length
  }
}
