import type { Layout } from './layout.js'
import { TarCursor } from './tar-cursor.js'

/** As much as of a single file (`block-reader.ts`). Many small files share a block. */
const BLOCK_BYTES = 2 * 1024 * 1024

/**
 * Makes the bytes of a tar, one block ahead of the caller. A block is valid until you ask for the next one; then its memory
 * is filled again. `close` ends every run, and closes what is open.
 */
export function tarReader(layout: Layout) {
  const cursors = new Set<TarCursor>()

  return {
    async *blocks(from = 0): AsyncGenerator<Buffer> {
      const cursor = new TarCursor(layout, from)
      cursors.add(cursor)
      try {
        const bytes = Math.min(BLOCK_BYTES, layout.size - from)
        // Each run has two blocks of its own, because a write of the last run may still be under way.
        let memory = Buffer.allocUnsafeSlow(bytes)
        let spare = Buffer.allocUnsafeSlow(bytes)
        let next = cursor.fill(memory)
        for (;;) {
          const block = await next
          if (block.length === 0) return
          next = cursor.fill(spare)
          next.catch(() => {}) // The caller gets the failure when it asks for the block, which may be never.
          ;[memory, spare] = [spare, memory]
          yield block
        }
      } finally {
        cursors.delete(cursor)
        await cursor.stop()
      }
    },

    async close(): Promise<void> {
      await Promise.all([...cursors].map((cursor) => cursor.stop()))
    },
  }
}
