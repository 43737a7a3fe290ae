import type { BundleNote } from './bundle.js'
import type { Entry, EntryKind } from './tar-entry.js'
import { unsafe } from './tar-unsafe.js'

/** All entries so far, by their paths. It refuses the next one if it doesn't fit. */
export class Tree {
  readonly #maxEntries: number
  readonly #kinds = new Map<string, EntryKind>()
  /** In the order of the tar: those within a folder come after it. */
  readonly folders: Entry[] = []
  readonly symlinks: Entry[] = []
  /** The paths of those that are in no folder. */
  readonly tops: string[] = []

  constructor({ entries }: BundleNote) {
    this.#maxEntries = entries
  }

  /** Throws EssError `unsafe-bundle`. */
  add(entry: Entry): void {
    const { kind, path, target } = entry
    if (this.#kinds.size >= this.#maxEntries)
      throw unsafe(`it has more entries than the ${this.#maxEntries} announced`)
    if (this.#kinds.has(path)) throw unsafe('comes twice', path)
    const slash = path.lastIndexOf('/')
    // Never beneath a link or a file. And a folder that isn't announced would not be counted.
    if (slash !== -1 && this.#kinds.get(path.slice(0, slash)) !== 'folder')
      throw unsafe('is in no folder of the bundle', path)
    if (kind === 'hardlink' && !this.#isFile(target)) throw unsafe('is a link to no file before it', path)
    this.#kinds.set(path, kind)
    if (slash === -1) this.tops.push(path)
    if (kind === 'folder') this.folders.push(entry)
    if (kind === 'symlink') this.symlinks.push(entry)
  }

  kindOf(path: string): EntryKind | undefined {
    return this.#kinds.get(path)
  }

  #isFile(path: string): boolean {
    const kind = this.#kinds.get(path)
    return kind === 'file' || kind === 'hardlink'
  }
}
