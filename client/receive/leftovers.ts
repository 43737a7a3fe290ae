import { lstatSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { isSocketId } from '../../shared/index.js'
import { removeTree } from '../bundle/unpack/remove-tree.js'
import { isOwnFile } from './part-file.js'
import { isOwnPartFolder } from './part-folder.js'
import { readRecord } from './part-record.js'
import type { Destination } from './sink.js'

/** Finds the parts that earlier runs have left of a link, even if the server doesn't tell us its id and name any more. */
export function leftoversOf(url: URL, to: Destination): readonly string[] {
  if ('stream' in to) return []
  const folder = 'folder' in to ? to.folder : dirname(to.file)
  const start = 'folder' in to ? '' : basename(to.file)
  const ends = url.pathname.split('/').filter(isSocketId).map(endOfPart)
  return namesIn(folder)
    .filter((name) => ends.some((end) => isPart(name, start, end)))
    .map((name) => join(folder, name))
    .filter((path) => {
      const stat = lstatSync(path, { throwIfNoEntry: false })
      // Another program's file could have such a name, but it has no record.
      return (isOwnFile(stat) && readRecord(stat) !== undefined) || isOwnPartFolder(path)
    })
}

/** How the parts of a link end. In those of a sealed download, more stands behind the id. */
function endOfPart(id: string): RegExp {
  return new RegExp(`(?:^ess-|\\.)${id}(?:\\.(?:age|[0-9a-f]{16}))?\\.part$`)
}

function isPart(name: string, start: string, end: RegExp): boolean {
  const at = name.search(end)
  return at === 0 || (at > 0 && name.startsWith(start))
}

/** Removes what earlier runs have left of a link that is over. */
export async function removeLeftovers(url: URL, to: Destination): Promise<void> {
  // A folder may accept files but not their removal.
  for (const path of leftoversOf(url, to)) await removeTree(path).catch(() => {})
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    // Without its names, nothing is found.
    return []
  }
}
