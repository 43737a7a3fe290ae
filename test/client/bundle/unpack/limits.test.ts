import { existsSync, mkdtempSync, readdirSync, rmdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { expect, onTestFinished, test } from 'vitest'
import { removeTree } from '../../../../client/bundle/unpack/remove-tree.js'
import { ended } from '../../../../client/receive/write-blocks.js'
import { header, type Made, padded, record, tarOf } from '../../../helpers/tar.js'
import { tempDir } from '../../../helpers/temp-dir.js'
import { leaveAsKilled, PART_ID, pour, sinkFor, takeRest, unpack } from '../../../helpers/unpack.js'

const MIB = 1024 * 1024
const MEMORY = '/dev/shm'

/** A folder in memory where the system has such a place: a busy disk would take minutes. */
async function memoryDir(): Promise<string> {
  if (!existsSync(MEMORY)) return await tempDir()
  const path = mkdtempSync(join(MEMORY, 'ess-test-'))
  onTestFinished(() => removeTree(path))
  return path
}
const folder = (name: string): Made => ({ name: `${name}/`, type: '5', mode: 0o755 })

/** A folder with so many empty files. */
function empties(count: number): Buffer {
  const block = header({ name: 'photos/0000000' })
  // Each digit that changes, changes the checksum.
  const blocks = Array.from({ length: count }, (_empty, index) => {
    const name = `photos/${String(index).padStart(7, '0')}`
    const own = Buffer.from(block)
    own.write(name, 0, 'latin1')
    own.write('        ', 148, 'latin1')
    let sum = 0
    for (const byte of own) sum += byte
    own.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    return own
  })
  return tarOf(folder('photos'), ...blocks)
}

test('100,000 empty files: each is made where they were announced, and none is left where they were not', async () => {
  const tar = empties(100_000)
  const to = await memoryDir()
  expect(await unpack(to, tar, { entries: 50_000, ms: 120_000 }, [MIB])).toMatchObject({
    code: 'unsafe-bundle',
    message: expect.stringContaining('it has more entries than the 50000 announced'),
  })
  expect(readdirSync(to)).toEqual([])
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  expect(await unpack(to, tar, { entries: 100_001, ms: 120_000 }, [64 * 1024])).toBeUndefined()
  delay.disable()
  expect(readdirSync(join(to, 'photos')).length).toBe(100_000)
  // Half a minute of work must not stop signals and timers. A busy machine takes its own time.
  expect(delay.percentile(50) / 1e6).toBeLessThan(200)
}, 300_000)

test('more than four million entries are refused before the link is used', async () => {
  const to = await tempDir()
  await expect(sinkFor(to, Buffer.alloc(0), { entries: 4_000_001 })).rejects.toMatchObject({
    code: 'unsafe-bundle',
  })
  expect(readdirSync(to)).toEqual([])
})

test('a path that fits in a tar and not on this system is told in one line', async () => {
  const to = await tempDir()
  const names = Array.from({ length: 16 }, () => 'n'.repeat(253))
  const paths = names.map((_name, index) => names.slice(0, index + 1).join('/'))
  const tar = tarOf(...paths.map((path) => ({ ...folder('x'), pax: { path: `${path}/` } })))
  const error = await unpack(to, tar)
  expect(error).toMatchObject({ code: 'file-unwritable' })
  expect(error?.message).toMatch(/^Cannot write "n+…": the name is too long\. The link is used up: .*\.$/)
  expect(readdirSync(to)).toEqual([])
})

test.runIf(process.platform === 'linux')(
  'runs of zeros take no room on the disk, also after a run that was killed',
  async () => {
    const to = await tempDir()
    const content = Buffer.alloc(16 * MIB)
    content.fill(1, 5 * MIB, 5 * MIB + 10)
    const tar = tarOf(
      folder('photos'),
      { name: 'photos/sparse', content },
      { name: 'photos/zeros', content: Buffer.alloc(MIB) },
    )
    const first = await sinkFor(to, tar)
    await pour(first, tar.subarray(0, 8 * MIB), [100_000, 4097])
    await leaveAsKilled(first)
    const second = await sinkFor(to, tar)
    // Up to where something was written.
    expect(second.begun).toBeGreaterThan(5 * MIB)
    expect(await takeRest(second, tar, [100_000, 4097])).toBeUndefined()
    const sparse = statSync(join(to, 'photos/sparse'))
    expect(sparse.size).toBe(16 * MIB)
    // Where a piece begins within a block of the disk, that block is written.
    expect(sparse.blocks * 512).toBeLessThan(4 * MIB)
    const zeros = statSync(join(to, 'photos/zeros'))
    expect(zeros.size).toBe(MIB)
    expect(zeros.blocks * 512).toBeLessThan(MIB / 4)
  },
)

test('a name that is there already for this disk, though not for the tar, is refused', async () => {
  const to = await tempDir()
  const tar = tarOf(folder('photos'), { name: 'photos/a', content: 'x' }, { name: 'photos/A', content: 'y' })
  const sink = await sinkFor(to, tar)
  sink.writable.on('error', () => {}) // The write that fails tells of it.
  await pour(sink, tar.subarray(0, 1024), [1024])
  // As if the two were one.
  writeFileSync(join(to, `photos.${PART_ID}.part/files/photos/A`), '')
  await expect(pour(sink, tar.subarray(1024), [1024])).rejects.toMatchObject({
    code: 'unsafe-bundle',
    message: expect.stringContaining('"photos/A" has the same name as another entry on this disk'),
  })
  await sink.discard(true)
  expect(readdirSync(to)).toEqual([])
})

test('a link that has the name of another entry for this disk is refused at the end', async () => {
  const to = await tempDir()
  const tar = tarOf(folder('photos'), { name: 'photos/l', type: '2', link: 'a' })
  const sink = await sinkFor(to, tar)
  await pour(sink, tar, [512])
  await ended(sink)
  writeFileSync(join(to, `photos.${PART_ID}.part/files/photos/l`), '')
  await expect(sink.commit()).rejects.toMatchObject({ code: 'unsafe-bundle' })
  await sink.discard(true)
  expect(readdirSync(to)).toEqual([])
})

test('a link that can not be made leaves all else in the part', async () => {
  const to = await tempDir()
  const tar = tarOf(folder('photos'), folder('photos/sub'), { name: 'photos/sub/l', type: '2', link: 'a' })
  const part = join(to, `photos.${PART_ID}.part`)
  const sink = await sinkFor(to, tar)
  await pour(sink, tar, [512])
  await ended(sink)
  rmdirSync(join(part, 'files/photos/sub'))
  expect(await sink.commit()).toMatchObject({
    code: 'file-unwritable',
    message: `Cannot write "photos/sub/l": there is no such folder. All else is in ${join(part, 'files')}.`,
  })
  expect(readdirSync(to)).toEqual([`photos.${PART_ID}.part`])
  expect(readdirSync(part)).toEqual(['files'])
})

test('a run whose part another one has taken says so, and leaves it alone', async () => {
  const to = await tempDir()
  const tar = tarOf(folder('photos'), { name: 'photos/a', content: 'x' }, { name: 'photos/b', content: 'y' })
  const [first, third] = [await sinkFor(to, tar), 1024]
  first.writable.on('error', () => {}) // The write that fails tells of it.
  await pour(first, tar.subarray(0, third), [512])
  // It looks as if it had been killed.
  utimesSync(join(to, `photos.${PART_ID}.part/journal`), 1, 1)
  const second = await sinkFor(to, tar)
  await pour(second, tar.subarray(second.begun), [512])
  const trouble = {
    code: 'file-unwritable',
    message: expect.stringContaining('Another program has removed or changed'),
  }
  await expect(pour(first, tar.subarray(third), [512])).rejects.toMatchObject(trouble)
  await first.discard(true)
  await ended(second)
  expect(await second.commit()).toBeUndefined()
  expect(readdirSync(to)).toEqual(['photos'])
})

test('a run whose part another one has taken in its last moment does not complete it', async () => {
  const to = await tempDir()
  const tar = tarOf(folder('photos'), { name: 'photos/a', content: 'x' })
  const first = await sinkFor(to, tar)
  await pour(first, tar, [512])
  await ended(first)
  utimesSync(join(to, `photos.${PART_ID}.part/journal`), 1, 1)
  const second = await sinkFor(to, tar)
  await expect(first.commit()).rejects.toMatchObject({ code: 'file-unwritable' })
  await first.discard(true)
  expect(await takeRest(second, tar, [512])).toBeUndefined()
  expect(readdirSync(to)).toEqual(['photos'])
})

test('an extended header is read in any pieces, and its memory is bounded', async () => {
  const to = await tempDir()
  const records = Buffer.concat(
    Array.from({ length: 100 }, (_empty, index) => record(`SCHILY.x${index}`, 'ab')),
  )
  const tar = tarOf(folder('photos'), header({ name: 'x', type: 'x', content: records }), padded(records), {
    name: 'photos/a',
    content: 'x',
  })
  expect(await unpack(to, tar, {}, [1])).toBeUndefined()
  expect(readdirSync(join(to, 'photos'))).toEqual(['a'])
})
