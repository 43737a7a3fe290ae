import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { EssError, EXIT_STATUS } from '../../../../shared/index.js'
import { hostileTars } from '../../../helpers/hostile-tars.js'
import { tempDir } from '../../../helpers/temp-dir.js'
import { snapshot } from '../../../helpers/tree.js'
import { unpack } from '../../../helpers/unpack.js'

/** A folder to unpack into, beside one that no archive may touch. */
async function ground(): Promise<{ around: string; to: string; outside: string }> {
  const around = await tempDir()
  const [to, outside] = [join(around, 'to'), join(around, 'outside')]
  await mkdir(to)
  await mkdir(outside)
  await writeFile(join(to, 'victim'), 'here')
  await writeFile(join(outside, 'victim'), 'there')
  await writeFile(join(around, 'victim'), 'above')
  return { around, to, outside }
}

// Paths of a real folder are needed, and a test's name must not have them.
const names = hostileTars('/OUTSIDE').map(({ name }) => name)

test.each(names)('%s is refused, and nothing is touched', async (wanted) => {
  for (const lengths of [[1_000_000], [513], [1]]) {
    const { around, to, outside } = await ground()
    const found = hostileTars(outside).find(({ name }) => name === wanted)
    if (found === undefined) throw new Error(`no archive ${wanted}`)
    const before = snapshot(around)
    const { tar, why, entries } = found
    const error = await unpack(to, tar, entries === undefined ? {} : { entries }, lengths)
    expect(error).toBeInstanceOf(EssError)
    expect(error?.message).toMatch(why)
    expect(error).toMatchObject({ code: 'unsafe-bundle', exitStatus: EXIT_STATUS.untrusted })
    expect(error?.message).not.toContain('\n')
    // The folder's own time changes, because the part was there.
    expect({ ...snapshot(around), to: before['to'] }).toEqual(before)
  }
})
