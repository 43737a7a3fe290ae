import { type BigIntStats, closeSync, openSync, readSync } from 'node:fs'

/** The largest memory page of a usual machine. */
const MAX_PAGE_BYTES = 64 * 1024

/**
 * True for a file in /proc, which says that it has no bytes, or in /sys, which says that it has as many as a memory page.
 * Its length is that of what it holds when it is read.
 */
export function isMadeWhenRead(place: string | Buffer, { blocks, size }: BigIntStats): boolean {
  // Such a file takes no room on a disk. A hole in a sparse file doesn't either, but that file has a last byte.
  if (blocks !== 0n || size > MAX_PAGE_BYTES) return false
  const fd = openSync(place, 'r')
  try {
    const isThere = readSync(fd, Buffer.alloc(1), 0, 1, size === 0n ? 0 : Number(size) - 1) === 1
    return isThere === (size === 0n)
  } finally {
    closeSync(fd)
  }
}
