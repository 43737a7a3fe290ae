import type { Entry } from './entry.js'
import { landingName } from './landing-name.js'
import type { Tree } from './tree.js'
import { unsafe } from './unsafe.js'

/**
 * Throws EssError `unsafe-bundle` if a symbolic link leads out of the folder that it was sent in, by itself or through
 * another link. Call it when all entries are known.
 *
 * Each link leads from a true folder up by some `..`, which can't leave the bundle, and then down by names. If one of these
 * names is another link, that one has been checked as well. Only a `..` behind a link would lead elsewhere than it
 * looks, and is refused.
 */
export function checkSymlinks(tree: Tree): void {
  const links = new Set(tree.symlinks.map(({ path }) => folded(path)))
  for (const link of tree.symlinks) checkSymlink(link, tree, links)
}

function checkSymlink({ path, target }: Entry, { tops }: Tree, links: ReadonlySet<string>): void {
  if (target.startsWith('/')) throw unsafe('is a symbolic link to an absolute path', path)
  // Windows would read it as a drive, a stream, or a path of its own.
  if (process.platform === 'win32' && /[\\:]/.test(target))
    throw unsafe('is a symbolic link that Windows can not have', path)
  const [own, ...names] = path.split('/')
  const at = names.length === 0 ? [] : [own, ...names.slice(0, -1)]
  let isInFolder = names.length > 0
  for (const name of target.split('/')) {
    if (name === '' || name === '.') continue
    if (name !== '..') {
      at.push(name)
      continue
    }
    if (at.length === 0) throw leadsOut(path)
    if (links.has(folded(at.join('/')))) throw unsafe('is a symbolic link through another one', path)
    at.pop()
    if (at.length === 0) isInFolder = false
  }
  if (isInFolder) return
  // From one of several things that were sent to another one. These stay beside one another, under their own names.
  const [top] = at
  if (top === undefined || top === own || !tops.includes(top) || landingName(top) !== top)
    throw leadsOut(path)
}

function leadsOut(path: string) {
  return unsafe('is a symbolic link that leads out of its folder', path)
}

/** The same for all paths that some file system takes for one. */
function folded(path: string): string {
  return Buffer.from(path, 'latin1').toString().normalize('NFKC').toUpperCase().toLowerCase()
}
