import { EssError } from '../../../shared/index.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import type { Entry } from '../../../shared/tar-entry.js'
import type { Done } from '../save/sink.js'
import { freeName, portable, type Standing } from './names.js'
import type { Target } from './target.js'

/**
 * A new folder in the one that the person has picked, so that nothing of theirs is touched. Until all is there, a file in
 * it says that it is not whole: a tab that is closed can't remove anything.
 */
export async function toFolder(picked: FileSystemDirectoryHandle, wanted: string): Promise<Target> {
  try {
    const top = portable(wanted)
    const name = await freeName(top, (name) => lookAt(picked, name))
    const root = await picked.getDirectoryHandle(name, { create: true })
    const marker = await root.getFileHandle(RECEIVING.markerName, { create: true })
    await fill(marker, new TextEncoder().encode(RECEIVING.markerText))
    return new FolderTarget(picked, root, top)
  } catch (error) {
    throw unwritable(error)
  }
}

class FolderTarget implements Target {
  readonly #picked: FileSystemDirectoryHandle
  readonly #root: FileSystemDirectoryHandle
  /** The name of a folder at the top that is this one. */
  readonly #wanted: string
  #isWrapped = false
  #isFirst = true
  /** The folders so far, by their paths: all but the last one are asked for again and again. */
  readonly #folders = new Map<string, FileSystemDirectoryHandle>()
  #writable: FileSystemWritableFileStream | undefined

  constructor(picked: FileSystemDirectoryHandle, root: FileSystemDirectoryHandle, wanted: string) {
    this.#picked = picked
    this.#root = root
    this.#wanted = wanted
    this.#folders.set('', root)
  }

  async look({ kind }: Entry, names: readonly string[]): Promise<Standing> {
    // A bundle of one folder has its name, and there would be two of it, one in the other.
    if (this.#isFirst) this.#isWrapped = kind === 'folder' && names[0] === this.#wanted
    this.#isFirst = false
    const path = this.#within(names)
    // The folder is new: what is there has come with this bundle, and is the same name to this disk.
    return path.length === 0 ? 'free' : await lookAt(this.#parentOf(path), path.at(-1) ?? '')
  }

  async begin({ kind }: Entry, names: readonly string[]): Promise<void> {
    const isFolder = kind === 'folder'
    const path = this.#within(names)
    if (path.length === 0) return
    try {
      if (isFolder) await this.#makeFolder(path)
      else this.#writable = await (await this.#file(path)).createWritable()
    } catch (error) {
      throw unwritable(error)
    }
  }

  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#writable?.write(bytes).catch(fail)
  }

  async end(): Promise<void> {
    await this.#writable?.close().catch(fail)
    this.#writable = undefined
  }

  async link(names: readonly string[], to: readonly string[]): Promise<boolean> {
    try {
      // A page can make no link. But a second name of a file may be a second file.
      const from = await this.#file(this.#within(to))
      await fill(await this.#file(this.#within(names)), await from.getFile())
    } catch (error) {
      throw unwritable(error)
    }
    return true
  }

  async close(): Promise<Done> {
    await this.#root.removeEntry(RECEIVING.markerName).catch(fail)
    return { way: 'folder', name: this.#root.name }
  }

  async abort(): Promise<void> {
    // It may have failed by itself.
    await this.#writable?.abort().catch(() => {})
    // What stays says itself that it is not whole.
    await this.#picked.removeEntry(this.#root.name, { recursive: true }).catch(() => {})
  }

  #within(names: readonly string[]): readonly string[] {
    return this.#isWrapped && names[0] === this.#wanted ? names.slice(1) : names
  }

  async #makeFolder(path: readonly string[]): Promise<void> {
    const parent = this.#parentOf(path)
    const made = await parent.getDirectoryHandle(path.at(-1) ?? '', { create: true })
    this.#folders.set(path.join('/'), made)
  }

  async #file(path: readonly string[]): Promise<FileSystemFileHandle> {
    return await this.#parentOf(path).getFileHandle(path.at(-1) ?? '', { create: true })
  }

  #parentOf(path: readonly string[]): FileSystemDirectoryHandle {
    const parent = this.#folders.get(path.slice(0, -1).join('/'))
    // The tree has refused what is in no folder.
    if (parent === undefined) throw new Error(`Expected a folder for ${path.join('/')}`)
    return parent
  }
}

async function lookAt(folder: FileSystemDirectoryHandle, name: string): Promise<Standing> {
  try {
    await folder.getFileHandle(name)
    return 'taken'
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotFoundError') return 'free'
    // A folder has this name.
    if (error instanceof DOMException && error.name === 'TypeMismatchError') return 'taken'
    if (error instanceof TypeError) return 'forbidden'
    throw unwritable(error)
  }
}

async function fill(file: FileSystemFileHandle, content: Uint8Array<ArrayBuffer> | Blob): Promise<void> {
  const writable = await file.createWritable()
  await writable.write(content)
  await writable.close()
}

function fail(error: unknown): never {
  throw unwritable(error)
}

function unwritable(error: unknown): EssError {
  return new EssError('file-unwritable', undefined, { cause: error })
}
