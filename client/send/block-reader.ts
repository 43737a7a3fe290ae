import { close, read } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { codeOf } from '../node/errno-words.js'

const readInto = promisify(read)

/**
 * How much of a file is read at once. Each read wakes a thread, and then the event loop. Larger blocks would save
 * nothing more, and each transfer has two of them.
 */
const BLOCK_BYTES = 2 * 1024 * 1024

/** How often we ask a non-blocking device again that had nothing to read. */
const POLL_MS = 20

/**
 * Reads `fd` from its beginning to its end, one block ahead of the caller. With a `size` you may read it again,
 * otherwise once. A block is valid until you ask for the next one; then its memory is filled again. New memory for
 * each block would cost the garbage collector more than all of the reading. `close` closes `fd`.
 */
export function blockReader(fd: number, size: number | undefined) {
  const pending = new Set<Promise<unknown>>()
  let isClosed = false

  function readAt(position: number | null, memory: Buffer): Promise<Buffer> {
    const read = readBlock(fd, position, memory, () => isClosed)
    // The caller gets the failure when it asks for the block, which may be never.
    const settled: Promise<unknown> = read.then(
      () => pending.delete(settled),
      () => pending.delete(settled),
    )
    pending.add(settled)
    return read
  }

  return {
    async *blocks(from = 0): AsyncGenerator<Buffer> {
      // A device has no positions to read from.
      let position = size === undefined ? null : from
      // Each run has two blocks of its own, because a write of the last run may still be under way.
      let memory = Buffer.allocUnsafeSlow(BLOCK_BYTES)
      let spare = Buffer.allocUnsafeSlow(BLOCK_BYTES)
      let next = readAt(position, memory)
      for (;;) {
        const block = await next
        if (block.length === 0) return
        if (position !== null) position += block.length
        next = readAt(position, spare)
        ;[memory, spare] = [spare, memory]
        yield block
      }
    },

    async close(): Promise<void> {
      isClosed = true
      // Once closed, the same number may name another file, and a pending read would read that one.
      await Promise.all(pending)
      await promisify(close)(fd)
    },
  }
}

async function readBlock(
  fd: number,
  position: number | null,
  memory: Buffer,
  isClosed: () => boolean,
): Promise<Buffer> {
  for (;;) {
    try {
      const { bytesRead } = await readInto(fd, memory, 0, memory.length, position)
      return memory.subarray(0, bytesRead)
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN' || isClosed()) throw error
    }
    await delay(POLL_MS)
  }
}
