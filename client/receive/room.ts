import { type StatsFs, statfsSync } from 'node:fs'
import { EssError, formatBytes } from '../../shared/index.js'

/**
 * Throws EssError `file-unwritable` if the folder or file at `place` has no room for `size` bytes, as far as we can
 * tell.
 */
export function checkRoom(place: string, path: string, size: number): void {
  const system = statfs(place)
  // Some network file systems don't say how large they are.
  if (system === undefined || system.blocks === 0) return
  const free = (process.geteuid?.() === 0 ? system.bfree : system.bavail) * system.bsize
  if (size <= free) return
  const words = `Cannot write ${path}: it needs ${formatBytes(size)}, and ${formatBytes(free)} are left`
  throw new EssError('file-unwritable', words)
}

function statfs(place: string): StatsFs | undefined {
  try {
    return statfsSync(place)
  } catch {
    // This check is a courtesy: if we can't ask, the write will tell.
    return undefined
  }
}
