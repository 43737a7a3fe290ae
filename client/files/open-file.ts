import { constants, fstatSync, readFileSync, statSync } from 'node:fs'
import { devNull } from 'node:os'

/** How a descriptor was opened, and where in its file it stands. */
export interface OpenFile {
  readonly flags: number
  readonly position: number
}

/** Looks at the open descriptor `fd`. Undefined if the system doesn't tell: only Linux does. */
export function openFile(fd: number): OpenFile | undefined {
  try {
    const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')
    const [, position] = /^pos:\s*(\d+)$/m.exec(text) ?? []
    const [, flags] = /^flags:\s*([0-7]+)$/m.exec(text) ?? []
    if (position === undefined || flags === undefined) return undefined
    return { flags: parseInt(flags, 8), position: Number(position) }
  } catch {
    // Not Linux, or no /proc.
    return undefined
  }
}

/**
 * True if the standard stream `fd` may have been closed when we were started. Node opens /dev/null in its place, for
 * reading and writing, before any of our code runs. Some programs start others with such a /dev/null on purpose
 * (Python's subprocess.DEVNULL, daemon(3)), and the two can't be told apart. A shell's `> /dev/null` opens it for
 * writing alone. False where the system doesn't tell.
 */
export function mayHaveBeenClosed(fd: number | undefined): boolean {
  if (fd === undefined) return false
  const file = openFile(fd)
  if (file === undefined || (file.flags & constants.O_RDWR) === 0) return false
  const stat = fstatSync(fd)
  return stat.isCharacterDevice() && stat.rdev === statSync(devNull).rdev
}
