import { EssError } from '../../../shared/index.js'
import type { FileHandle } from './pickers.js'
import type { Sink, Way } from './sink.js'

/** A file that the person has picked: the bytes go straight to its disk, and get its name when they are whole. */
export async function toDisk(handle: FileHandle): Promise<Way> {
  const writable = await handle.createWritable().catch((error: unknown) => {
    throw unwritable(error)
  })
  const abort = async () => {
    // It may have failed by itself.
    await writable.abort().catch(ignore)
    await removeEmpty(handle)
  }
  const sink: Sink = {
    write: (bytes) => writable.write(bytes).catch(fail),
    async close() {
      await writable.close().catch(fail)
      return { way: 'disk', name: handle.name }
    },
    abort,
  }
  return { open: () => Promise.resolve(sink), drop: abort }
}

/** Picking a new file makes an empty one, which would look like the file if that was empty too. */
async function removeEmpty(handle: FileHandle): Promise<void> {
  try {
    const { size } = await handle.getFile()
    if (size === 0) await handle.remove?.()
  } catch {
    // It is gone already.
  }
}

function fail(error: unknown): never {
  throw unwritable(error)
}

function unwritable(error: unknown): EssError {
  return new EssError('file-unwritable', undefined, { cause: error })
}

function ignore(): void {}
