import { isAbsolute, resolve } from 'node:path'
import { EssError } from '../../shared/index.js'
import { NOT_UTF8 } from '../files/raw-arguments.js'

/** The current folder; undefined if it was removed or can't be read. */
export function currentFolder(): string | undefined {
  try {
    return process.cwd()
  } catch {
    // Most commands need none.
    return undefined
  }
}

/** Resolves `path` in the folder `cwd`. Throws EssError `usage` for a relative path when that folder is gone. */
export function absolute(cwd: string | undefined, path: string): string {
  // Node can't name a folder that is not UTF-8, but the system resolves a relative path in it.
  if (cwd !== undefined) return cwd.includes(NOT_UTF8) ? path : resolve(cwd, path)
  if (isAbsolute(path)) return path
  throw new EssError(
    'usage',
    `The current folder is gone, and ${path} was to be in it. cd to another folder, or give the whole path.`,
  )
}
