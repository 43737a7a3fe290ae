import { EssError } from '../../../shared/index.js'
import type { Facts } from '../../facts.js'
import type { Link } from '../link.js'
import { toDisk } from './disk.js'
import { hasWorkers, toDownloads } from './downloads.js'
import { memoryLimit, toMemory } from './memory.js'
import { picked, pickers } from './pickers.js'
import type { Saved, Way } from './sink.js'

/**
 * The best way that this browser has for a file. Call it in the person's click, because a picker asks for one. Undefined
 * if the person has picked no place. Throws EssError `too-large` if there is no way for a file of this size.
 */
export async function chooseWay(facts: Facts, link: Link, saved: Saved): Promise<Way | undefined> {
  const { showSaveFilePicker } = pickers()
  if (showSaveFilePicker !== undefined) {
    const handle = await picked(() => showSaveFilePicker({ suggestedName: saved.name }))
    if (handle === undefined) return undefined
    if (handle !== 'not here') return await toDisk(handle)
  }
  return (await byWorker(facts, link)) ?? byMemory(saved)
}

async function byWorker(facts: Facts, link: Link): Promise<Way | undefined> {
  if (!hasWorkers()) return undefined
  const way = await toDownloads(facts, link).catch(() => undefined)
  if (way === undefined) return undefined
  return {
    ...way,
    async open(saved) {
      try {
        return await way.open(saved)
      } catch {
        // The worker doesn't answer: some private windows register one that never runs.
        return await byMemory(saved).open(saved)
      }
    },
  }
}

function byMemory({ size = 0 }: Pick<Saved, 'size'>): Way {
  if (size > memoryLimit()) throw new EssError('too-large')
  return toMemory()
}
