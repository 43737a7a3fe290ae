import { shortenName } from '../../shared/file-name.js'
import { MAX_NAME_BYTES, numberedName } from '../../shared/numbered-name.js'

/** The files in a folder, at any depth. */
export interface FolderSum {
  readonly count: number
  readonly bytes: number
}

/** What a person has chosen, by its path in the bundle, which nothing else has: that of a single file is its name. */
export class Chosen {
  readonly files = new Map<string, File>()
  readonly folders = new Set<string>()

  get isEmpty(): boolean {
    return this.files.size === 0 && this.folders.size === 0
  }

  /** The one file that it is, and goes as a file. Undefined for a folder, or several. */
  get single(): File | undefined {
    const [[path, file] = []] = this.files
    const isSingle = this.files.size === 1 && this.folders.size === 0 && path?.includes('/') === false
    return isSingle ? file : undefined
  }

  /** Bytes of all files. */
  get size(): number {
    return [...this.files.values()].reduce((sum, { size }) => sum + size, 0)
  }

  /** The names at the top, as a list shows them. */
  get tops(): string[] {
    return [...new Set([...this.folders, ...this.files.keys()].map(topOf))].sort()
  }

  /** What is in each folder at the top. */
  folderSums(): ReadonlyMap<string, FolderSum> {
    const sums = new Map<string, FolderSum>()
    const add = (path: string, count: number, bytes: number) => {
      const top = topOf(path)
      const before = sums.get(top) ?? { count: 0, bytes: 0 }
      sums.set(top, { count: before.count + count, bytes: before.bytes + bytes })
    }
    for (const path of this.folders) add(path, 0, 0)
    for (const [path, { size }] of this.files) if (path.includes('/')) add(path, 1, size)
    return sums
  }

  /**
   * Adds what is chosen at once, a piece after the other. It goes beside what is there: what has the name of another thing gets a
   * number, and is in the list, whether it is the same thing or not. Only its content could tell.
   */
  add(): Addition {
    return new Addition(this)
  }

  /** The path for a thing of this name. `parent` ends with a slash, or is empty. */
  freePath(parent: string, name: string): string {
    // A receiver takes no longer name. Those of other systems may have more bytes in UTF-8.
    const fitted = shortenName(name.toWellFormed(), MAX_NAME_BYTES)
    for (let number = 1; ; number++) {
      const path = parent + numberedName(fitted, number)
      if (!this.files.has(path) && !this.folders.has(path)) return path
    }
  }

  /** Takes a file away, or a folder with all that is in it. */
  remove(top: string): void {
    for (const path of [...this.files.keys()]) if (topOf(path) === top) this.files.delete(path)
    for (const path of [...this.folders]) if (topOf(path) === top) this.folders.delete(path)
  }

  clear(): void {
    this.files.clear()
    this.folders.clear()
  }
}

function topOf(path: string): string {
  return path.split('/', 1)[0] ?? path
}

/** What a person chooses or drops at once: of that, two things have two paths. */
export class Addition {
  readonly #chosen: Chosen
  /** The path that each folder has got, with a final slash, by its own. */
  readonly #parents = new Map([['', '']])

  constructor(chosen: Chosen) {
    this.#chosen = chosen
  }

  /** Adds a file. `path` is its own one, from the top of what is chosen. */
  file(path: string, file: File): void {
    const [parent, name] = split(path)
    this.#chosen.files.set(this.#chosen.freePath(this.folder(parent), name), file)
  }

  /** Adds a folder, with those that it is in. Gives the path that it has got, with a final slash. */
  folder(path: string): string {
    const known = this.#parents.get(path)
    if (known !== undefined) return known
    const [parent, name] = split(path)
    const own = this.#chosen.freePath(this.folder(parent), name)
    this.#chosen.folders.add(own)
    this.#parents.set(path, `${own}/`)
    return `${own}/`
  }
}

/** The folder that a path is in, and its name there. */
function split(path: string): readonly [parent: string, name: string] {
  const slash = path.lastIndexOf('/')
  return [path.slice(0, Math.max(0, slash)), path.slice(slash + 1)]
}
