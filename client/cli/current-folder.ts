import { isAbsolute, resolve } from 'node:path'
import { EssError } from '../../shared/index.js'
import { NOT_UTF8 } from '../files/raw-arguments.js'

/** The current folder; undefined where it was removed, or is in one that may not be read. */
export function currentFolder(): string | undefined {
  try {
    return process.cwd()
  } catch {
    // Most of what can be asked for needs none.
    return undefined
  }
}

/** `path` as it is meant in the folder `cwd`. Throws EssError `usage` where it needs that folder and there is none. */
export function absolute(cwd: string | undefined, path: string): string {
  // Node doesn't know the name of a folder that is not UTF-8, but the system does.
  if (cwd !== undefined) return cwd.includes(NOT_UTF8) ? path : resolve(cwd, path)
  if (isAbsolute(path)) return path
  throw new EssError(
    'usage',
    `Expected ${path} in the current folder, but that folder is gone; cd to another one, or give the whole path`,
  )
}
