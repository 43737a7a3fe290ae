import { lstatSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isSocketId } from '../../shared/index.js'
import { isOwnFile, partNames } from './part-file.js'
import { readRecord } from './part-record.js'
import type { Destination } from './sink.js'

/** Finds the parts that earlier runs have left of a link, even if the server doesn't tell us its id and name any more. */
export function leftoversOf(url: URL, to: Destination): readonly string[] {
  if ('stream' in to) return []
  const folder = 'folder' in to ? to.folder : dirname(to.file)
  const start = 'folder' in to ? '' : basename(to.file)
  const ends = url.pathname
    .split('/')
    .filter(isSocketId)
    .flatMap((id) => partNames('', id))
  return namesIn(folder)
    .filter((name) => ends.some((end) => name === end || (name.startsWith(start) && name.endsWith(end))))
    .map((name) => join(folder, name))
    .filter((path) => {
      const stat = lstatSync(path, { throwIfNoEntry: false })
      // Another program's file could have such a name, but it has no record.
      return isOwnFile(stat) && readRecord(stat) !== undefined
    })
}

/** Removes what earlier runs have left of a link that is over. */
export async function removeLeftovers(url: URL, to: Destination): Promise<void> {
  // A folder may accept files but not their removal.
  for (const path of leftoversOf(url, to)) await rm(path, { force: true }).catch(() => {})
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    // Without its names, nothing is found.
    return []
  }
}
