import { close, read } from 'node:fs'
import { promisify } from 'node:util'

/** A file is read in blocks of this size: the fewer reads, the less each byte costs. */
const BLOCK_BYTES = 1024 * 1024

/** Reads `fd` from its beginning to its end, one block ahead of whoever asks. `close` closes it. */
export function blockReader(fd: number) {
  let pending: Promise<Buffer> | undefined

  return {
    async *blocks(): AsyncGenerator<Buffer> {
      pending = readBlock(fd)
      for (;;) {
        const block = await pending
        if (block.length === 0) return
        pending = readBlock(fd)
        // Its failure is thrown when it is asked for, which may be never.
        pending.catch(() => {})
        yield block
      }
    },

    async close(): Promise<void> {
      // The number could name another file by the time a read that is still under way gets to it.
      await pending?.catch(() => {})
      await promisify(close)(fd)
    },
  }
}

async function readBlock(fd: number): Promise<Buffer> {
  const block = Buffer.allocUnsafe(BLOCK_BYTES)
  const { bytesRead } = await promisify(read)(fd, block, 0, BLOCK_BYTES, null)
  return block.subarray(0, bytesRead)
}
