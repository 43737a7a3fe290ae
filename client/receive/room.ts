import { type StatsFs, statfsSync } from 'node:fs'
import { EssError, formatBytes } from '../../shared/index.js'

/** Throws EssError `file-unwritable` where `size` bytes cannot be had in that folder or file, as far as that can be known. */
export function checkRoom(place: string, path: string, size: number): void {
  const system = statfs(place)
  // Some network file systems do not say how large they are.
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
    // It is a courtesy: where it cannot be asked, writing will tell.
    return undefined
  }
}
