import { basename, join } from 'node:path'
import type { Tree } from '../../../shared/tar-tree.js'
import { unsafe } from '../../../shared/tar-unsafe.js'
import { landingName } from '../landing-name.js'
import type { Landing } from './land.js'
import { localPath } from './local-path.js'

/** Where a whole bundle goes: into a folder, each thing under its own name; or to a path of its own. */
export type Goal = { readonly folder: string; readonly isInFolder: boolean; readonly path: string }

/**
 * What goes where, from the folder `files`; and the path of all of it. Throws EssError `unsafe-bundle` if two things
 * would get one name.
 */
export function landingsFor(
  { tops }: Tree,
  files: string,
  { folder, isInFolder, path }: Goal,
): { readonly landings: readonly Landing[]; readonly path: string } {
  const [top] = tops
  const isOne = tops.length === 1 && top !== undefined
  if (!isInFolder) return { landings: [{ from: isOne ? localPath(files, top) : files, to: path }], path }
  const names = tops.map(nameFor)
  const taken = new Set<string>()
  const twice = names.find((name) => taken.size === taken.add(name).size)
  if (twice !== undefined) throw unsafe('would get the same name as another entry', twice)
  const landings = tops.map((name, index) => ({
    from: localPath(files, name),
    to: localPath(folder, names[index] ?? ''),
  }))
  return { landings, path: isOne ? join(folder, basename(String(landings[0]?.to))) : folder }
}

function nameFor(top: string): string {
  const name = landingName(top)
  if (name === undefined) throw unsafe('has no name that a file could have here', top)
  return name
}
