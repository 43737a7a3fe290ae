import type { BundleNote } from '../../../shared/index.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import type { Begin } from '../../../shared/tar-reader.js'
import { TarReader } from '../../../shared/tar-reader.js'
import { Tree } from '../../../shared/tar-tree.js'
import { unsafe } from '../../../shared/tar-unsafe.js'
import { Batches } from '../batches.js'
import type { Sink, Way } from '../save/sink.js'
import { namesOf, textOf } from './names.js'
import type { Target } from './target.js'

/** What a person is told of a bundle as it comes. */
export interface Listener {
  onEntry(name: string): void
  /** A link that could not be made. */
  onLeftOut(name: string): void
}

/** Unpacks a bundle into a target, which begins when the bundle does. */
export function unpackTo(
  open: () => Promise<Target>,
  drop: () => Promise<void>,
  bundle: BundleNote,
  listener: Listener,
): Way {
  return {
    open: async ({ size }) => new Unpacking(await open(), bundle, size, listener),
    drop,
  }
}

/** A sink for a tar. It is strict: what programs could read differently is refused. */
class Unpacking implements Sink {
  readonly #target: Target
  readonly #listener: Listener
  readonly #reader: TarReader
  readonly #tree: Tree
  readonly #paths = new Set<string>()
  /** Many files are small, and the pieces of a large one are put together. */
  readonly #batches: Batches
  #isFile = false

  constructor(target: Target, bundle: BundleNote, size: number | undefined, listener: Listener) {
    this.#target = target
    this.#listener = listener
    this.#reader = new TarReader(size)
    this.#tree = new Tree(bundle)
    this.#batches = new Batches((batch) => target.write(batch))
  }

  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    for (const piece of this.#reader.read(bytes))
      if ('entry' in piece) await this.#begin(piece)
      else if ('data' in piece) await this.#batches.push(piece.data)
      else await this.#end()
  }

  isWhole(): boolean {
    try {
      this.#reader.end()
      return true
    } catch {
      // More must come.
      return false
    }
  }

  async close() {
    this.#reader.end()
    return await this.#target.close()
  }

  abort(): Promise<void> {
    return this.#target.abort()
  }

  async #begin({ entry }: Begin): Promise<void> {
    this.#tree.add(entry)
    const { kind, path, target } = entry
    const names = namesOf(path)
    const joined = names.join('/')
    if (this.#paths.size === this.#paths.add(joined).size) throw unsafe(RECEIVING.sameName, path)
    this.#listener.onEntry(kind === 'folder' ? `${joined}/` : joined)
    this.#isFile = kind === 'file'
    if (kind === 'file' || kind === 'folder') {
      await this.#target.begin(entry, names)
      return
    }
    const to = kind === 'hardlink' ? namesOf(target) : undefined
    if (!(await this.#target.link(entry, names, to))) this.#listener.onLeftOut(textOf(path))
  }

  async #end(): Promise<void> {
    if (!this.#isFile) return
    await this.#batches.flush()
    await this.#target.end()
  }
}
