import type { Body } from '../seal/body.js'
import { nextTurn } from '../seal/turns.js'
import { BLOCK_BYTES, fileChanged, SeenBlocks } from './seen-blocks.js'

/**
 * Firefox reads on in a file that was written to, and takes its size for what it was. Other browsers refuse to read such a
 * file.
 */
const READS_CHANGED_FILES = /\bFirefox\//.test(navigator.userAgent)

/** The bytes of some Blobs, one after the other. Those of a file on the disk are read when they are asked for. */
export function blobBody(parts: readonly Blob[]): Body {
  const blob = new Blob([...parts])
  const seen = new SeenBlocks(blob.size)

  return {
    size: blob.size,
    async read(from, to) {
      const bytes = await blob
        .slice(from, to)
        .arrayBuffer()
        .catch((cause: unknown) => {
          throw fileChanged(cause)
        })
      // A file that lost its end gives what is left.
      if (bytes.byteLength !== to - from) throw fileChanged()
      seen.check(from, new Uint8Array(bytes))
      return new Uint8Array(bytes)
    },
    // At the end of a block, so that each is seen whole.
    pieceEnd(from, bytes) {
      const end = Math.floor((from + bytes) / BLOCK_BYTES) * BLOCK_BYTES
      return Math.min(end > from ? end : from + bytes, blob.size)
    },
    async confirm(ms) {
      if (READS_CHANGED_FILES) await readAgain(parts, seen, ms)
    },
  }
}

/** Reads all parts to their real ends. What takes longer than `ms` is not looked at: a receiver waits. */
async function readAgain(parts: readonly Blob[], seen: SeenBlocks, ms: number): Promise<void> {
  const endsAt = performance.now() + ms
  const block = new Uint8Array(BLOCK_BYTES)
  let begun = 0
  let offset = 0
  for (const part of parts) {
    let bytes = 0
    for await (const chunk of chunksOf(part)) {
      bytes += chunk.length
      for (let at = 0; at < chunk.length; ) {
        const taken = chunk.subarray(at, at + BLOCK_BYTES - begun)
        block.set(taken, begun)
        begun += taken.length
        at += taken.length
        if (begun < BLOCK_BYTES) continue
        seen.check(offset, block)
        offset += BLOCK_BYTES
        begun = 0
      }
      await nextTurn()
      if (performance.now() > endsAt) return
    }
    if (bytes !== part.size) throw fileChanged()
  }
  seen.check(offset, block.subarray(0, begun))
}

async function* chunksOf(part: Blob): AsyncGenerator<Uint8Array> {
  const reader = part.stream().getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw fileChanged(cause)
      })
      if (done) return
      yield value
    }
  } finally {
    // Whatever it says of that, the file is closed.
    await reader.cancel().catch(() => undefined)
  }
}
