import { randomBytes } from 'node:crypto'
import { lstatSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { JOURNAL } from '../bundle/unpack/journal-name.js'
import { localFileName } from '../files/local-name.js'
import { unwritable } from '../files/unwritable.js'
import { codeOf } from '../node/errno-words.js'
import { isBeingWritten } from './live-part.js'
import { isOwnFile, type PartTerms, partNames } from './part-file.js'

/** The folder that takes what is unpacked until it is whole. */
export interface PartFolder {
  readonly path: string
  /** False if an earlier run has left it. */
  readonly isNew: boolean
}

/**
 * Opens the part of a bundle that will be at `real`: a folder with the name that the part of a file would have. If an
 * earlier run of the same download has left it, it is gone on with.
 */
export async function openPartFolder(
  asked: string,
  real: string,
  { id, signal }: PartTerms,
): Promise<PartFolder> {
  const random = randomBytes(4).toString('hex')
  const own: readonly string[] = id === undefined ? [] : partNames(real, localFileName(id))
  let trouble: unknown
  for (const path of [...own, `${real}.${random}.part`, join(dirname(real), `ess-${random}.part`)])
    try {
      // Nobody else may look into it before it is whole, or put anything there.
      mkdirSync(path, { mode: 0o700 })
      return { path, isNew: true }
    } catch (error) {
      trouble = error
      const code = codeOf(error)
      if (
        code === 'EEXIST' &&
        own.includes(path) &&
        isOwnPartFolder(path) &&
        !(await isBeingWritten(path, signal))
      )
        return { path, isNew: false }
      if (code !== 'EEXIST' && code !== 'ENAMETOOLONG') break
    }
  throw unwritable(asked, trouble)
}

/**
 * True for a folder that an earlier run of this user's has left: in /tmp, other users could prepare one for us. A whole
 * bundle that could not get its name has no journal.
 */
export function isOwnPartFolder(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (stat?.isDirectory() !== true) return false
  const user = process.geteuid?.()
  const isOwn = user === undefined || (stat.uid === user && (stat.mode & 0o077) === 0)
  return isOwn && isOwnFile(lstatSync(join(path, JOURNAL), { throwIfNoEntry: false }))
}
