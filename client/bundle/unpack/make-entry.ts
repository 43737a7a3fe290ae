import { linkSync, mkdirSync } from 'node:fs'
import type { Entry } from '../../../shared/tar-entry.js'
import { Content } from './content.js'
import { type LocalPath, localPath } from './local-path.js'
import { OWN_BITS } from './own-bits.js'

/** Makes what `entry` is, at `path` in `folder`. For a file, it gives what takes its content. */
export function makeEntry(folder: string, path: LocalPath, entry: Entry): Content | undefined {
  const { kind, mode, target } = entry
  if (kind === 'file') return Content.create(path, entry)
  if (kind === 'folder') mkdirSync(path, { mode: mode | OWN_BITS })
  if (kind === 'hardlink') linkSync(localPath(folder, target), path)
  // A symbolic link is made when all else is there, so that nothing is ever written through it.
  return undefined
}
