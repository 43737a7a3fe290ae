import { join } from 'node:path'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { tarOf } from '../../helpers/bundles.js'
import { plant, snapshot, tree } from '../../helpers/planted.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { unpack } from '../../helpers/unpack.js'

// Elsewhere not every name can be.
test.skipIf(process.platform !== 'linux')(
  'any folder that is sent is the same when ess has unpacked it',
  async () => {
    // The receiver's mask counts.
    const mask = process.umask(0)
    onTestFinished(() => void process.umask(mask))
    await fc.assert(
      fc.asyncProperty(tree, async (planted) => {
        const from = await tempDir()
        plant(join(from, 'folder'), planted)
        const { bytes, source } = await tarOf([join(from, 'folder')])
        const to = await tempDir()
        expect(await unpack(to, bytes, source.bundle)).toBeUndefined()
        expect(snapshot(join(to, 'folder'))).toEqual(snapshot(join(from, 'folder')))
      }),
      { numRuns: 40 },
    )
  },
)
