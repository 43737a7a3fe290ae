import type { Stats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'

/** The record counts in blocks of this size. */
export const RECORD_BLOCK_BYTES = 64 * 1024
/** No record is later than this, 9 September 2001, and no true time of a part is earlier. */
const LAST_RECORD_S = 1_000_000_000

/**
 * Notes in a part how many of its first bytes are on the disk for certain, and that it was written to just now. Call it
 * when they have been synced.
 *
 * A part that is longer than its record may end in bytes that never reached the disk: after a power cut they are zeros
 * on some file systems, and a link has no checksum that would tell. So the bytes behind the record are fetched again.
 * The record is the part's time of last access, in seconds since 1970, each for a block of 64 KiB. So it can't get lost
 * without its part, and leaves nothing to remove. If another program reads the part, the time becomes a true one. Then
 * there is no record, and nothing of the part is trusted.
 */
export async function writeRecord(file: FileHandle, bytes: number): Promise<void> {
  const blocks = Math.min(Math.floor(bytes / RECORD_BLOCK_BYTES), LAST_RECORD_S)
  await file.utimes(blocks, new Date())
}

/** How many of a part's first bytes are on the disk for certain. Undefined if it has no record. */
export function readRecord({ atimeMs, size }: Pick<Stats, 'atimeMs' | 'size'>): number | undefined {
  // A file system may keep times to the second, or to two of them (exFAT).
  const blocks = Math.floor(atimeMs / 1000)
  if (blocks < 0 || blocks > LAST_RECORD_S) return undefined
  return Math.min(blocks * RECORD_BLOCK_BYTES, size)
}
