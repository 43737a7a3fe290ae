import { EssError } from '../../shared/index.js'
import { SENDING } from '../../shared/page-words-sending.js'
import type { Addition, Chosen } from './chosen.js'

/**
 * Adds what was dropped, with all that is in its folders. Call it in the event itself: afterwards, a browser shows nothing of
 * what was dropped. Throws EssError `file-unreadable`.
 */
export async function addDropped(items: DataTransferItemList, chosen: Chosen): Promise<void> {
  const entries = [...items]
    .filter(({ kind }) => kind === 'file')
    .map((item) => ({ entry: item.webkitGetAsEntry(), file: item.getAsFile() }))
  const adding = chosen.add()
  for (const { entry, file } of entries) {
    if (entry !== null) await add(entry, '', adding)
    else if (file !== null) adding.file(file.name, file)
  }
}

async function add(entry: FileSystemEntry, parent: string, adding: Addition): Promise<void> {
  const path = `${parent}${entry.name}`
  if (isFile(entry)) {
    adding.file(path, await settled(path, (resolve, reject) => entry.file(resolve, reject)))
    return
  }
  if (!isFolder(entry)) return
  adding.folder(path)
  const reader = entry.createReader()
  for (;;) {
    // Some browsers give a hundred at a time.
    const more = await settled<FileSystemEntry[]>(path, (resolve, reject) =>
      reader.readEntries(resolve, reject),
    )
    if (more.length === 0) return
    for (const one of more) await add(one, `${path}/`, adding)
  }
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory
}

function settled<T>(
  path: string,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise<T>(start).catch((cause: unknown) => {
    throw new EssError('file-unreadable', SENDING.unreadable(path), { cause })
  })
}
