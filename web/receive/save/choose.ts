import { EssError } from '../../../shared/index.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { toDisk } from './disk.js'
import { memoryLimit, toMemory } from './memory.js'
import { picked, pickers } from './pickers.js'
import type { Saved, Way } from './sink.js'
import { storageRoom, toStorage } from './storage.js'

/**
 * The best way that this browser has for a file. Call it in the person's click, because a picker asks for one. Undefined
 * if the person has picked no place. Throws EssError `too-large`, in words for the person, if there is no way for a file of
 * this size.
 */
export async function chooseWay({ name, size }: Omit<Saved, 'type'>): Promise<Way | undefined> {
  const { showSaveFilePicker } = pickers()
  if (showSaveFilePicker !== undefined) {
    const handle = await picked(() => showSaveFilePicker({ suggestedName: name }))
    if (handle === undefined) return undefined
    if (handle !== 'not here') return await toDisk(handle)
  }
  return await byBrowser(size)
}

/** `size` is 0 for a file of unknown size, which may turn out to be too large. */
async function byBrowser(size = 0): Promise<Way> {
  const [room = 0, memory] = [await storageRoom(), memoryLimit()]
  if (size <= room) {
    const way = await toStorage().catch(() => undefined)
    if (way !== undefined) return way
  }
  if (size <= memory) return toMemory()
  throw new EssError('too-large', wordsOf(room, memory))
}

function wordsOf(room: number, memory: number): string {
  if (room > memory) return RECEIVING.tooLargeHere(room)
  return (isSecureContext ? RECEIVING.tooLarge : RECEIVING.tooLargeByHttp)(memory)
}
