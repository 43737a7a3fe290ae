import type { BundleNote } from '../../../shared/index.js'
import type { Entry } from '../../../shared/tar-entry.js'
import type { Begin } from '../../../shared/tar-reader.js'
import { TarReader } from '../../../shared/tar-reader.js'
import { Tree } from '../../../shared/tar-tree.js'
import { Batches } from '../batches.js'
import type { Sink, Way } from '../save/sink.js'
import { Names, textOf } from './names.js'
import type { Target } from './target.js'

/** What a person is told of a bundle as it comes. */
export interface Listener {
  onEntry(name: string): void
  /** A link that could not be made. */
  onLeftOut(name: string): void
  /** A name that could not stay as it is: `to` is the path that the entry has got. */
  onRenamed(from: string, to: string): void
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
  readonly #names = new Names()
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
    this.#isFile = kind === 'file'
    if (kind === 'symlink') {
      this.#listener.onEntry(textOf(path))
      this.#listener.onLeftOut(textOf(path))
      return
    }
    const names = await this.#nameFor(entry)
    if (kind === 'hardlink') {
      if (!(await this.#target.link(names, this.#names.of(target)))) this.#listener.onLeftOut(textOf(path))
    } else await this.#target.begin(entry, names)
  }

  async #nameFor(entry: Entry): Promise<readonly string[]> {
    const { kind, path } = entry
    const names = await this.#names.give(path, (names) => this.#target.look(entry, names))
    const joined = names.join('/')
    this.#listener.onEntry(kind === 'folder' ? `${joined}/` : joined)
    // What is in a folder with another name keeps its own.
    if (textOf(path).split('/').at(-1) !== names.at(-1)) this.#listener.onRenamed(textOf(path), joined)
    return names
  }

  async #end(): Promise<void> {
    if (!this.#isFile) return
    await this.#batches.flush()
    await this.#target.end()
  }
}
