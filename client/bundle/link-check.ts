import { foldedName } from '../../shared/folded-name.js'
import { landingName } from './landing-name.js'

/** A symbolic link in a tar. Names are bytes: one character of a string for each. */
export interface Link {
  readonly path: string
  /** What it holds. */
  readonly target: string
}

/**
 * The rule by which a symbolic link stays in what is sent. A receiver refuses a bundle with any other link, so a sender
 * doesn't make one.
 *
 * Each link leads from a true folder up by some `..`, which can't leave the bundle, and then down by names. If one of these
 * names is another link, that one keeps to the rule as well. Only a `..` behind a link would lead elsewhere than it looks.
 */
export class LinkCheck {
  readonly #tops: ReadonlySet<string>
  readonly #links: ReadonlySet<string>

  /** `tops` are the names at the top of the tar, and `links` all symbolic links. */
  constructor(tops: Iterable<string>, links: readonly Link[]) {
    this.#tops = new Set(tops)
    this.#links = new Set(links.map(({ path }) => folded(path)))
  }

  /** What the link is that breaks the rule; undefined for one that keeps to it. */
  troubleWith({ path, target }: Link): Trouble | undefined {
    if (target.startsWith('/')) return TROUBLES.absolute
    const [own, ...names] = path.split('/')
    const at = names.length === 0 ? [] : [own, ...names.slice(0, -1)]
    let isInFolder = names.length > 0
    for (const name of target.split('/')) {
      if (name === '' || name === '.') continue
      if (name !== '..') {
        at.push(name)
        continue
      }
      if (at.length === 0) return TROUBLES.out
      if (this.#links.has(folded(at.join('/')))) return TROUBLES.through
      at.pop()
      if (at.length === 0) isInFolder = false
    }
    if (isInFolder) return undefined
    // From one of several things that were sent to another one. These stay beside one another. But one alone may get
    // another name, and so may one whose name is not safe.
    const [top] = at
    const isBeside = top !== undefined && top !== own && this.#tops.has(top) && landingName(top) === top
    if (isBeside) return undefined
    return top !== undefined && this.#tops.has(top) ? TROUBLES.renamed : TROUBLES.out
  }
}

/** What a link is that breaks the rule. */
export const TROUBLES = {
  absolute: 'is a symbolic link to an absolute path',
  through: 'is a symbolic link through another one',
  out: 'is a symbolic link that leads out of its folder',
  /** To what is sent, but by a name that it may not have for the receiver. */
  renamed: 'is a symbolic link that leads out of its folder and back',
} as const

export type Trouble = (typeof TROUBLES)[keyof typeof TROUBLES]

/** The same for all paths that some file system takes for one. */
function folded(path: string): string {
  return foldedName(Buffer.from(path, 'latin1').toString())
}
