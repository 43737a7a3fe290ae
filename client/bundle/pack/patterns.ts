import ignore from 'ignore'

/** Only these systems take names for equal that differ in case, and git does so there. */
const IGNORES_CASE = ['darwin', 'win32'].includes(process.platform)

/** Patterns as in a .gitignore file, for paths in the folder of that file. */
export class Patterns {
  readonly #patterns = ignore({ ignorecase: IGNORES_CASE })
  /** Those of a list that have matched nothing yet. */
  #unmatched = new Set<string>()
  /** Those of a list that may take something back. */
  #takingBack: readonly string[] = []

  /** Reads a file of patterns, one a line. */
  static fromFile(text: string): Patterns {
    const patterns = new Patterns()
    patterns.#patterns.add(text.replace(/^\ufeff/, ''))
    return patterns
  }

  /** Takes each text as one pattern. A `#` at its beginning starts no comment. */
  static fromList(list: readonly string[]): Patterns {
    const patterns = new Patterns()
    patterns.#patterns.add(list.map((pattern) => ({ pattern: pattern.replace(/^#/, '\\#'), mark: pattern })))
    patterns.#unmatched = new Set(list)
    // Before the first pattern that leaves something out, there is nothing to take back.
    const first = list.findIndex((pattern) => !pattern.startsWith('!'))
    patterns.#takingBack = first === -1 ? [] : list.slice(first).filter((pattern) => pattern.startsWith('!'))
    return patterns
  }

  /** `out` for a path that is left out, `in` for one that a `!` takes back, undefined for one that no pattern matches. */
  judge(path: string, isFolder: boolean): 'out' | 'in' | undefined {
    const { ignored, unignored, rule } = this.#patterns.test(isFolder ? `${path}/` : path)
    if (this.#unmatched.size > 0 && (ignored || unignored)) this.#count(rule?.mark)
    if (ignored) return 'out'
    return unignored ? 'in' : undefined
  }

  /** The patterns of a list by which nothing was decided so far, in their order. */
  get unmatched(): readonly string[] {
    return [...this.#unmatched]
  }

  /** Undefined for what a `!` has taken back, of which we don't hear which it was. */
  #count(pattern: string | undefined): void {
    const matched = pattern === undefined ? this.#takingBack : [pattern]
    for (const one of matched) this.#unmatched.delete(one)
  }

  /** Takes a folder back that was left out by these patterns, so that each path in it is judged by itself. */
  takeBack(folder: string): void {
    const literal = folder.replace(/[*?[\\]/g, (one) => ('*?'.includes(one) ? `[${one}]` : `\\${one}`))
    this.#patterns.add({ pattern: `!/${literal}/` })
  }
}
