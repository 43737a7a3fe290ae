/** The files in a folder, at any depth. */
export interface FolderSum {
  readonly count: number
  readonly bytes: number
}

/** What a person has chosen, by its path in the bundle: that of a single file is its name. */
export class Chosen {
  readonly files = new Map<string, File>()
  /** Folders that hold nothing, and others that were seen. */
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

  /** Adds a file. One that has the name of another is renamed, and the same one again changes nothing. */
  addFile(path: string, file: File): void {
    const other = this.files.get(path)
    if (other !== undefined && isSame(other, file)) return
    this.files.set(other === undefined && !this.folders.has(path) ? path : this.#free(path), file)
  }

  addFolder(path: string): void {
    this.folders.add(path)
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

  #free(path: string): string {
    const dot = path.lastIndexOf('.')
    const at = dot > path.lastIndexOf('/') + 1 ? dot : path.length
    for (let number = 2; ; number++) {
      const other = `${path.slice(0, at)} (${number})${path.slice(at)}`
      if (!this.files.has(other) && !this.folders.has(other)) return other
    }
  }
}

function topOf(path: string): string {
  return path.split('/', 1)[0] ?? path
}

function isSame(one: File, other: File): boolean {
  return one.size === other.size && one.lastModified === other.lastModified
}
