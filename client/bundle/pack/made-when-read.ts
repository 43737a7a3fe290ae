import { type BigIntStats, constants } from 'node:fs'
import { open } from 'node:fs/promises'

/** The largest memory page of a usual machine. */
const MAX_PAGE_BYTES = 64 * 1024

/** What is at the place may be a pipe by now. Windows has neither flag. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0)

/**
 * True for a file whose length is that of what it holds when it is read: one that says that it has no bytes and has some, or
 * that says that it has a memory page of them and has fewer. Others get their turn while it is read, because a network's
 * file system may take its time. Rejects with the system's error.
 */
export async function isMadeWhenRead(
  place: string | Buffer,
  { blocks, size }: Pick<BigIntStats, 'blocks' | 'size'>,
): Promise<boolean> {
  // Such a file takes no room on a disk. A hole in a sparse file doesn't either, but that file has a last byte.
  if (blocks !== 0n || size > MAX_PAGE_BYTES) return false
  const file = await open(place, FLAGS)
  try {
    const { bytesRead } = await file.read(Buffer.alloc(1), 0, 1, size === 0n ? 0 : Number(size) - 1)
    return (bytesRead === 1) === (size === 0n)
  } finally {
    await file.close()
  }
}
