/** The rule by which a symbolic link stays in what is sent. A receiver checks it too. */
export class LinkCheck {
  readonly #tops: ReadonlySet<string>
  readonly #links: ReadonlySet<string>

  /** `tops` are the names at the top of the tar, and `links` the paths of all symbolic links. */
  constructor(tops: ReadonlySet<string>, links: ReadonlySet<string>) {
    this.#tops = tops
    this.#links = links
  }

  /**
   * True if the link leads out of what is sent: if its target is absolute or above the top, or goes up and back into its own
   * folder, which may get another name. A `..` behind another link counts too, because it leads elsewhere than it looks.
   */
  leadsOut(path: string, target: string): boolean {
    if (target.startsWith('/')) return true
    const at = path.split('/').slice(0, -1)
    const [own] = at
    let hasLeft = false
    for (const name of target.split('/')) {
      if (name === '' || name === '.') continue
      if (name !== '..') {
        at.push(name)
        continue
      }
      if (at.length === 0 || this.#links.has(at.join('/'))) return true
      at.pop()
      hasLeft ||= at.length === 0
    }
    const [top] = at
    return hasLeft && (top === undefined || top === own || !this.#tops.has(top))
  }
}
