import { lstatSync, readdirSync, type Stats } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { EssError } from '../../shared/index.js'
import { JOURNAL } from '../bundle/unpack/journal-name.js'

/** How often a part that is being written is touched, because no byte may come for minutes. */
export const PULSE_MS = 3_000
/** A part that was touched within this time may be one that is being written. */
const LIVE_MS = 10_000
/** A part that isn't touched for this long is not being written: its program was killed. */
const WATCH_MS = PULSE_MS + 1_500
const LOOK_MS = 100

/**
 * Throws EssError `file-exists` if a download to the same name is under way, from this link or from another one. It
 * takes a moment where a part was touched a moment ago: it may be that of a program that was killed.
 */
export async function refuseIfUnderWay(
  asked: string,
  real: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const start = `${basename(real)}.`
  const folder = dirname(real)
  for (const name of namesIn(folder)) {
    if (!name.startsWith(start) || !name.endsWith('.part')) continue
    const part = join(folder, name)
    if (await isBeingWritten(part, signal)) throw underWay(asked, part)
  }
}

/** True if another program writes this part, a file or the folder of a bundle. Throws EssError `interrupted`. */
export async function isBeingWritten(part: string, signal: AbortSignal | undefined): Promise<boolean> {
  const first = look(part)
  // A link or a pipe with this name is no download, and neither is a folder without a journal.
  if (first?.isFile() !== true || Math.abs(Date.now() - first.mtimeMs) >= LIVE_MS) return false
  const endsAt = performance.now() + WATCH_MS
  while (performance.now() < endsAt) {
    await delay(LOOK_MS, undefined, { signal }).catch(() => {
      throw new EssError('interrupted', 'Interrupted before the transfer was complete.')
    })
    const now = look(part)
    if (now === undefined) return false
    if (now.mtimeMs !== first.mtimeMs || now.size !== first.size) return true
  }
  return false
}

function look(part: string): Stats | undefined {
  const stat = lstatSync(part, { throwIfNoEntry: false })
  return stat?.isDirectory() ? lstatSync(join(part, JOURNAL), { throwIfNoEntry: false }) : stat
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    // A folder may accept files and not tell their names.
    return []
  }
}

function underWay(path: string, part: string): EssError {
  return new EssError(
    'file-exists',
    `Another download is writing ${path}: ${part} has just changed. Choose another name with -o, or try again later.`,
  )
}
