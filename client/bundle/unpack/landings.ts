import { isUtf8 } from 'node:buffer'
import { basename, join } from 'node:path'
import { numberedName } from '../../../shared/numbered-name.js'
import type { Tree } from '../../../shared/tar-tree.js'
import { unsafe } from '../../../shared/tar-unsafe.js'
import { landingName } from '../landing-name.js'
import type { Landing } from './land.js'
import { localPath } from './local-path.js'

/** Where a whole bundle goes: into a folder, each thing under its own name; or to a path of its own. */
export type Goal = { readonly folder: string; readonly isInFolder: boolean; readonly path: string }

/**
 * What goes where, from the folder `files`; and the path of all of it. Throws EssError `unsafe-bundle` if nothing is left
 * of a name.
 */
export function landingsFor(
  { tops }: Tree,
  files: string,
  { folder, isInFolder, path }: Goal,
): { readonly landings: readonly Landing[]; readonly path: string } {
  const [top] = tops
  const isOne = tops.length === 1 && top !== undefined
  if (!isInFolder) return { landings: [{ from: isOne ? localPath(files, top) : files, to: path }], path }
  const names = namesFor(tops)
  const landings = tops.map((name, index) => ({
    from: localPath(files, name),
    to: localPath(folder, names[index] ?? ''),
  }))
  return { landings, path: isOne ? join(folder, basename(String(landings[0]?.to))) : folder }
}

/**
 * Each has a name of its own in the tar, and here too: `.env` and `env` become `env (2)` and `env`. Those whose names are safe
 * keep them, because a link may lead from one to the other.
 */
function namesFor(tops: readonly string[]): readonly string[] {
  const names = tops.map(nameFor)
  const taken = new Set(names.filter((name, index) => name === tops[index]))
  return names.map((name, index) => {
    if (name === tops[index]) return name
    let own = name
    for (let number = 2; taken.has(own); number++) own = numberedBytes(name, number)
    taken.add(own)
    return own
  })
}

/** The same for a name as bytes, one character for each. */
function numberedBytes(name: string, number: number): string {
  const bytes = Buffer.from(name, 'latin1')
  if (!isUtf8(bytes)) return numberedName(name, number)
  return Buffer.from(numberedName(bytes.toString(), number)).toString('latin1')
}

function nameFor(top: string): string {
  const name = landingName(top)
  if (name === undefined) throw unsafe('has no name that a file could have here', top)
  return name
}
