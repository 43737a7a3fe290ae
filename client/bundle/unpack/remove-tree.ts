import { lstatSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { type LocalPath, namesIn, under } from './local-path.js'
import { OWN_BITS, regain } from './own-bits.js'

/** Removes a folder of our own with all that is in it, and follows no link. Throws what the file system says. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(async () => {
    // A sender's folders may be read-only.
    await regainAll(path)
    await rm(path, { recursive: true, force: true })
  })
}

async function regainAll(path: LocalPath): Promise<void> {
  const stat = lstatSync(path)
  if (!stat.isDirectory()) return
  regain(path, stat, OWN_BITS)
  for (const name of namesIn(path)) await regainAll(under(path, name))
  await turn()
}
