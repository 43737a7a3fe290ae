import { join } from 'node:path'
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { bundleSource } from '../../../../client/bundle/pack/bundle-source.js'
import { bytesFrom, TARS, tarOf, unpacked } from '../../../helpers/bundles.js'
import { bytesOf } from '../../../helpers/bytes.js'
import { needs } from '../../../helpers/needs.js'
import { plant, snapshot, type Tree, tree } from '../../../helpers/planted.js'
import { tempDir } from '../../../helpers/temp-dir.js'

const BLOCK_BYTES = 2 * 1024 * 1024

// Elsewhere not every name can be.
describe.skipIf(process.platform !== 'linux')('any folder', () => {
  beforeEach((context) => needs(context, 'tar', 'bsdtar', 'busybox'))

  test('has a tar of the size foretold, the same from any byte on, that is the same folder when it is unpacked', async () => {
    await fc.assert(
      fc.asyncProperty(tree, fc.array(fc.nat(), { maxLength: 8 }), async (planted, offsets) => {
        const path = join(await tempDir(), 'folder')
        plant(path, planted)
        const source = await bundleSource([path])
        const bytes = await bytesFrom(source)
        expect(bytes.length).toBe(source.size)
        for (const offset of offsets.map((one) => one % (bytes.length + 1)))
          expect(bytes.subarray(offset).equals(await bytesFrom(source, offset))).toBe(true)
        await source.close()
        const whole = snapshot(path)
        expect(snapshot(join(await unpacked(bytes, 'GNU tar'), 'folder'))).toEqual(whole)
        // bsdtar composes the characters of all names.
        if (whole.every((line) => line === line.normalize()))
          expect(snapshot(join(await unpacked(bytes, 'bsdtar'), 'folder')), 'bsdtar').toEqual(whole)
      }),
      { numRuns: 40 },
    )
  })
})

test('the bytes from any offset are the end of the whole', async () => {
  const path = join(await tempDir(), 'folder')
  const names = {
    empty: { content: '' },
    folder: { names: {} },
    link: { link: 'small' },
    ['long'.repeat(40)]: { content: 'long' },
    old: { content: 'old', mtime: -5 },
    small: { content: 'small' },
    third: { content: bytesOf(600) },
  }
  plant(path, { names })
  const source = await bundleSource([path])
  const whole = await bytesFrom(source)
  expect(whole.length).toBe(source.size)
  const around = [0, 1, 2, 100, 257, 510, 511]
  const offsets = Array.from({ length: whole.length / 512 }, (_, at) => around.map((more) => at * 512 + more))
  for (const offset of [...offsets.flat(), whole.length]) {
    const rest = await bytesFrom(source, offset)
    expect(rest.equals(whole.subarray(offset)), `from ${offset}`).toBe(true)
  }
  await source.close()
})

/** Sizes at which something begins or ends: a record, a block, a read that is done at once. */
const SIZES = [
  ...[0, 1, 511, 512, 513, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1],
  // The header of the folder and that of the file come first.
  ...[-1025, -1024, -1023, -513, -512, -1, 0, 1].map((more) => BLOCK_BYTES + more),
  2 * BLOCK_BYTES - 1024,
  5 * 1024 * 1024 + 1,
]

test.each(SIZES)('a file of %d bytes is in the tar as it is, and so is the one after it', async (size) => {
  const path = join(await tempDir(), 'folder')
  plant(path, { names: { a: { content: bytesOf(size) }, b: { content: 'b' } } })
  const { bytes } = await tarOf([path])
  expect(snapshot(join(await unpacked(bytes, 'GNU tar'), 'folder'))).toEqual(snapshot(path))
})

const EVERYTHING: Tree = {
  names: {
    'with space': { content: 'x', mode: 0o755, mtime: 1e9 },
    bin: { names: { run: { content: 'x', mode: 0o777 } }, mode: 0o711, mtime: 1 },
    dangling: { link: 'nowhere' },
    empty: { names: {} },
    link: { link: 'bin/run', mtime: 5 },
    ['n'.repeat(99)]: { names: { ['m'.repeat(100)]: { content: 'y' } } },
    ü: { content: 'ü' },
  },
  mode: 0o750,
}

test.each(Object.keys(TARS) as (keyof typeof TARS)[])('%s unpacks it', async (program) => {
  const path = join(await tempDir(), 'folder')
  plant(path, EVERYTHING)
  const { bytes } = await tarOf([path])
  // busybox gives folders and links no times.
  const kept = (lines: string[]) =>
    program === 'busybox' ? lines.map((line) => line.replace(/(?<=^"[^"]*" \d+|->.*) \d+$/, '')) : lines
  expect(kept(snapshot(join(await unpacked(bytes, program), 'folder')))).toEqual(kept(snapshot(path)))
})

test.each([-(2 ** 31), -1, 0, 2 ** 31, 2 ** 33 - 1, 2 ** 33, 15_032_385_535])(
  'the time %d is kept',
  async (mtime) => {
    const path = join(await tempDir(), 'folder')
    plant(path, { names: { a: { content: 'x', mtime }, b: { link: 'a', mtime } }, mtime })
    const { bytes } = await tarOf([path])
    const whole = snapshot(path)
    expect(whole.every((line) => line.includes(` ${mtime}`))).toBe(true)
    for (const program of ['GNU tar', 'bsdtar'] as const)
      expect(snapshot(join(await unpacked(bytes, program), 'folder')), program).toEqual(whole)
  },
)

test('many small files share a block', async () => {
  const path = join(await tempDir(), 'folder')
  const files = Array.from({ length: 500 }, (_, at) => [`file ${at}`, { content: bytesOf(4096, at) }])
  plant(path, { names: Object.fromEntries(files) })
  const source = await bundleSource([path])
  let blocks = 0
  for await (const block of source.read()) blocks += block.length > 0 ? 1 : 0
  await source.close()
  expect(source.bundle).toEqual({ entries: 501 })
  expect(source.size).toBe(512 + 500 * (512 + 4096) + 1024)
  expect(blocks).toBe(2)
})
