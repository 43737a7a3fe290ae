import ignore from 'ignore'

/** Only these systems take names for equal that differ in case, and git does so there. */
const IGNORES_CASE = ['darwin', 'win32'].includes(process.platform)

/** Patterns as in a .gitignore file, for paths in the folder of that file. */
export class Patterns {
  readonly #patterns = ignore({ ignorecase: IGNORES_CASE })

  /** Reads a file of patterns, one a line. */
  static fromFile(text: string): Patterns {
    const patterns = new Patterns()
    patterns.#patterns.add(text.replace(/^\ufeff/, ''))
    return patterns
  }

  /** Takes each text as one pattern. A `#` at its beginning starts no comment. */
  static fromList(list: readonly string[]): Patterns {
    const patterns = new Patterns()
    patterns.#patterns.add(list.map((pattern) => ({ pattern: pattern.replace(/^#/, '\\#') })))
    return patterns
  }

  /** `out` for a path that is left out, `in` for one that a `!` takes back, undefined for one that no pattern matches. */
  judge(path: string, isFolder: boolean): 'out' | 'in' | undefined {
    const { ignored, unignored } = this.#patterns.test(isFolder ? `${path}/` : path)
    if (ignored) return 'out'
    return unignored ? 'in' : undefined
  }

  /** Takes a folder back that was left out by these patterns, so that each path in it is judged by itself. */
  takeBack(folder: string): void {
    const literal = folder.replace(/[*?[\\]/g, (one) => ('*?'.includes(one) ? `[${one}]` : `\\${one}`))
    this.#patterns.add({ pattern: `!/${literal}/` })
  }
}
