import { EssError } from '../../../shared/index.js'
import { withResolvers } from '../../../shared/with-resolvers.js'
import { handOver } from './hand-over.js'
import type { Way } from './sink.js'

/*
 * The browser's storage for this origin (the File System Standard's bucket file system), which no person sees. A file is
 * kept there until it is whole, and only then given to the browser: a browser that makes a download out of bytes as they
 * come may call a short file whole.
 */

/** Other pages of this origin may have files there, too. */
const FOLDER = 'ephemeral-socket-service'
/** What a browser counts beside the bytes. */
const OVERHEAD_BYTES = 1024 * 1024

/**
 * How many bytes this page may keep there. Undefined if it may keep none: over plain HTTP, in some private windows, and in
 * browsers from before 2023.
 */
export async function storageRoom(): Promise<number | undefined> {
  try {
    await removeLeft()
    const { quota, usage } = await navigator.storage.estimate()
    const hasWritable = 'createWritable' in FileSystemFileHandle.prototype
    if (!hasWritable || quota === undefined || usage === undefined) return undefined
    await navigator.storage.getDirectory()
    return Math.max(0, quota - usage - OVERHEAD_BYTES)
  } catch {
    // It has no such storage here, whatever the reason.
    return undefined
  }
}

/** Removes what pages that are closed by now have left. It never rejects. */
export async function removeLeft(): Promise<void> {
  try {
    const root = await navigator.storage.getDirectory()
    const folder = await root.getDirectoryHandle(FOLDER)
    for await (const name of folder.keys()) {
      // Chromium has a second file beside one that is written, as `ID.crswap`.
      const [id = ''] = name.split('.')
      await navigator.locks.request(lockOf(id), { ifAvailable: true }, async (lock) => {
        if (lock !== null) await folder.removeEntry(name).catch(ignore)
      })
    }
  } catch {
    // There is nothing, or no such storage. What can't be removed is tried again at the next visit.
  }
}

/** Begins an empty file there. Throws if the browser lets it have none. */
export async function toStorage(): Promise<Way> {
  const id = crypto.randomUUID()
  // For as long as this page lives, no other one takes the file for one that was left.
  const release = await hold(lockOf(id))
  const root = await navigator.storage.getDirectory()
  const folder = await root.getDirectoryHandle(FOLDER, { create: true })
  const remove = () => folder.removeEntry(id).catch(ignore)
  // A copy that has begun goes on without it.
  window.addEventListener('pagehide', () => void remove())
  try {
    const handle = await folder.getFileHandle(id, { create: true })
    const writable = await handle.createWritable()
    const abort = async () => {
      // It may have failed by itself.
      await writable.abort().catch(ignore)
      await remove()
      release()
    }
    const open: Way['open'] = ({ name }) => {
      let bytes = 0
      return Promise.resolve({
        async write(piece) {
          await writable.write(piece).catch(fail)
          bytes += piece.length
        },
        async close() {
          await writable.close().catch(fail)
          const file = await handle.getFile().catch(fail)
          if (file.size !== bytes) throw new EssError('file-unwritable')
          return handOver(file, name)
        },
        abort,
      })
    }
    return { open, drop: abort }
  } catch (error) {
    await remove()
    release()
    throw error
  }
}

function lockOf(id: string): string {
  return `${FOLDER}/${id}`
}

/** Resolves when the lock is this page's, with what gives it back. A closed page has none. */
async function hold(name: string): Promise<() => void> {
  const { promise: over, resolve: release } = withResolvers<void>()
  await new Promise<void>((resolve, reject) => {
    const held = () => {
      resolve()
      return over
    }
    navigator.locks.request(name, held).catch(reject)
  })
  return release
}

function fail(cause: unknown): never {
  throw new EssError('file-unwritable', undefined, { cause })
}

function ignore(): void {}
