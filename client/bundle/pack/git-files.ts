import { closeSync, constants, fstatSync, lstatSync, openSync, readFileSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import { codeOf, errnoWords } from '../../node/errno-words.js'
import { shownName } from './names.js'
import { Patterns } from './patterns.js'
import { childOf } from './places.js'
import { cannotSend } from './refusals.js'

/** The folder that makes a folder the top of a repository; in a worktree or a submodule a file that leads there. */
export const GIT = '.git'
const PATTERNS = '.gitignore'

/**
 * The patterns of a folder's own file: none or one. `names` are those of the folder's entries, or undefined if they are not
 * known. Throws EssError `file-unreadable`.
 */
export function patternsOfFolder(
  folder: string | Buffer,
  names: readonly string[] | undefined,
  shown: string,
): readonly Patterns[] {
  if (names?.includes(PATTERNS) === false) return []
  return patternsIn(childOf(folder, PATTERNS), `${shown}/${PATTERNS}`)
}

/** The patterns of the repository whose top this folder is, which are in none of its files: none or one. */
export function patternsOfRepository(folder: string | Buffer): readonly Patterns[] {
  const repository = repositoryIn(folder)
  if (repository === undefined) return []
  return patternsIn(childOf(repository, 'info/exclude'), `${GIT}/info/exclude`)
}

/** Where the repository is that a folder is the top of. Undefined if it is the top of none. */
export function repositoryIn(folder: string | Buffer): string | Buffer | undefined {
  const place = childOf(folder, GIT)
  const kind = lstatSync(place, { throwIfNoEntry: false })
  if (kind?.isDirectory()) return place
  if (!kind?.isFile()) return undefined
  const [, path] = /^gitdir: (.+)$/m.exec(textOf(place) ?? '') ?? []
  if (path === undefined) return undefined
  const own = isAbsolute(path) ? path : childOf(folder, path)
  // A worktree's own folder has little in it, and names the one that all worktrees share.
  const shared = textOf(childOf(own, 'commondir'))?.trim()
  if (shared === undefined) return own
  return isAbsolute(shared) ? shared : childOf(own, shared)
}

function patternsIn(place: string | Buffer, shown: string): readonly Patterns[] {
  try {
    // Like git, we follow no link here, and wait for no pipe.
    if (!lstatSync(place, { throwIfNoEntry: false })?.isFile()) return []
    return [Patterns.fromFile(readStored(place))]
  } catch (error) {
    const { message } = error as Error // The file system throws Errors.
    throw cannotSend([{ path: shownName(shown), why: errnoWords('read', error) ?? message }])
  }
}

/** Undefined if it can't be read. */
function textOf(place: string | Buffer): string | undefined {
  try {
    return readStored(place)
  } catch (error) {
    if (codeOf(error) === '') throw error
    return undefined
  }
}

/** A pipe has no writer, and a file that the kernel makes says that it is empty: neither may have us wait. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0)

/** The text of a file that is stored; none of anything else. */
function readStored(place: string | Buffer): string {
  const fd = openSync(place, FLAGS)
  try {
    const stat = fstatSync(fd)
    return stat.isFile() && stat.size > 0 ? readFileSync(fd, 'utf8') : ''
  } finally {
    closeSync(fd)
  }
}
