import { close, read } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { codeOf } from '../node/errno-words.js'

const readInto = promisify(read)

/**
 * A file is read in blocks of this size. For each of them a thread is woken to read it, and the event loop to hear
 * of that; beyond this size there is nothing left to save, and each transfer has two.
 */
const BLOCK_BYTES = 2 * 1024 * 1024

/** How often a device that has nothing to read, and would not wait, is asked again. */
const POLL_MS = 20

/**
 * Reads `fd` from its beginning to its end, one block ahead of whoever asks; a file with a `size` as often as
 * it is asked to, anything else once. A block is good until the next one is asked for, when its memory is read
 * into again: new memory for each costs the garbage collector more than all of the reading. `close` closes it.
 */
export function blockReader(fd: number, size: number | undefined) {
  const pending = new Set<Promise<unknown>>()
  let isClosed = false

  function readAt(position: number | null, memory: Buffer): Promise<Buffer> {
    const read = readBlock(fd, position, memory, () => isClosed)
    // Its failure is thrown when it is asked for, which may be never.
    const settled: Promise<unknown> = read.then(
      () => pending.delete(settled),
      () => pending.delete(settled),
    )
    pending.add(settled)
    return read
  }

  return {
    async *blocks(): AsyncGenerator<Buffer> {
      // A device has no positions to read from.
      let position = size === undefined ? null : 0
      // A run has its own two blocks: another one may begin while a write of this one is still under way.
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
      // The number could name another file by the time a read that is still under way gets to it.
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
