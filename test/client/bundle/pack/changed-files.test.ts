import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bundleSource } from '../../../../client/bundle/pack/bundle-source.js'
import type { Source } from '../../../../client/ends/source.js'
import { formatNumber } from '../../../../shared/index.js'
import { bytesOf } from '../../../helpers/bytes.js'
import { run } from '../../../helpers/run.js'
import { tempDir } from '../../../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../../../helpers/within.js'

const LARGE = 5 * 1024 * 1024

/** The path, at which nothing is any more. */
function emptied(path: string): string {
  rmSync(path)
  return path
}

/** What happens to a file that was examined, and what is said of it. */
const CHANGES = [
  ['grown', (path: string) => appendFileSync(path, 'x'), 'it had SIZE bytes, and now MORE'],
  ['shrunk', (path: string) => truncateSync(path, 1), 'it had SIZE bytes, and now 1'],
  ['emptied', (path: string) => truncateSync(path, 0), 'it had SIZE bytes, and now 0'],
  ['written to', (path: string, size: number) => writeFileSync(path, 'x'.repeat(size)), 'it was written to'],
  ['given another time', (path: string) => utimesSync(path, 1, 1.5), 'it was written to'],
] as const

/** What takes its place. These can only be seen when it is opened. */
const REPLACEMENTS = [
  ['gone', (path: string) => rmSync(path), 'it is not there any more'],
  [
    'in a folder that is gone',
    (path: string) => rmSync(join(path, '..'), { recursive: true }),
    'it is not there any more',
  ],
  [
    'in a folder that is a file now',
    (path: string) => {
      rmSync(join(path, '..'), { recursive: true })
      writeFileSync(join(path, '..'), 'x')
    },
    'it is not there any more',
  ],
  [
    'another file of the same size and time',
    (path: string, size: number) => {
      writeFileSync(`${path}.new`, 'x'.repeat(size))
      utimesSync(`${path}.new`, 1e9, 1e9)
      renameSync(`${path}.new`, path)
    },
    'another file has taken its place',
  ],
  ['a folder', (path: string) => mkdirSync(emptied(path)), 'it is a folder now'],
  [
    'a link to another file of the same size and time',
    (path: string, size: number) => {
      writeFileSync(`${path}.new`, 'x'.repeat(size))
      utimesSync(`${path}.new`, 1e9, 1e9)
      rmSync(path)
      symlinkSync(`${path}.new`, path)
    },
    'another file has taken its place',
  ],
  ['a link to a device', (path: string) => symlinkSync('/dev/zero', emptied(path)), 'it is no file any more'],
  ['a link that leads nowhere', (path: string) => symlinkSync('x', emptied(path)), 'it is not there'],
] as const

async function folderWith(size: number): Promise<{ folder: string; path: string }> {
  const folder = join(await tempDir(), 'folder')
  mkdirSync(join(folder, 'b'), { recursive: true })
  writeFileSync(join(folder, 'a'), 'first')
  const path = join(folder, 'b', 'file')
  writeFileSync(path, bytesOf(size))
  utimesSync(path, 1e9, 1e9)
  writeFileSync(join(folder, 'c'), 'last')
  return { folder, path }
}

/** Reads until it fails; `midway` is called after the first block. */
async function failure(source: Source, midway = () => {}): Promise<{ error: unknown; bytes: Buffer }> {
  const blocks: Buffer[] = []
  const reading = (async () => {
    for await (const block of source.read()) {
      blocks.push(Buffer.from(block))
      if (blocks.length === 1) midway()
    }
  })()
  const error = await within(
    DEADLINE_MS,
    'the reading fails',
    reading.then(
      () => undefined,
      (reason: unknown) => reason,
    ),
  )
  await source.close()
  return { error, bytes: Buffer.concat(blocks) }
}

function expectChanged(error: unknown, words: string, size: number) {
  const message = words.replace('SIZE', formatNumber(size)).replace('MORE', formatNumber(size + 1))
  expect(error).toMatchObject({ code: 'file-changed', exitStatus: 8 })
  expect(error).toMatchObject({
    message: expect.stringContaining(`folder/b/file changed after it was examined: ${message}`),
  })
}

/** This process's open files below a folder. */
function openBelow(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`)
      return path.startsWith(folder) ? [path] : []
    } catch {
      // It is that of this very list.
      return []
    }
  })
}

describe.each([0, 5, LARGE])('a file of %d bytes that, since it was examined, is', (size) => {
  const changes = [...CHANGES, ...REPLACEMENTS].filter(([name]) => size > 1 || !/shrunk|emptied/.test(name))
  const noticed = changes.filter(([name]) => size > 0 || name !== 'written to')
  test.each(noticed)('%s: no wrong byte goes out', async (_name, change, words) => {
    const { folder, path } = await folderWith(size)
    const untouched = await bundleSource([folder])
    const expected: Buffer[] = []
    for await (const block of untouched.read()) expected.push(Buffer.from(block))
    await untouched.close()
    const source = await bundleSource([folder])
    change(path, size)
    const { error, bytes } = await failure(source)
    expectChanged(error, words, size)
    expect(bytes.equals(Buffer.concat(expected).subarray(0, bytes.length))).toBe(true)
    expect(bytes.length).toBeLessThan(source.size ?? 0)
  })
})

describe('a file that, while it is read, is', () => {
  test.each(CHANGES)('%s: its last byte does not go out', async (_name, change, words) => {
    const { folder, path } = await folderWith(LARGE)
    const source = await bundleSource([folder])
    const { error, bytes } = await failure(source, () => change(path, LARGE))
    expectChanged(error, words, LARGE)
    expect(bytes.length).toBeLessThan(LARGE)
  })
})

test.skipIf(process.platform !== 'linux')(
  'a pipe in the place of a file does not hold up the process',
  async () => {
    const { folder, path } = await folderWith(5)
    const source = await bundleSource([folder])
    rmSync(path)
    await (await run('mkfifo', 'mkfifo', [path])).ended()
    const { error } = await failure(source)
    expectChanged(error, 'it is no file any more', 5)
  },
)

test('what is no file may change: the tar is what was seen', async () => {
  const { folder } = await folderWith(5)
  symlinkSync('a', join(folder, 'link'))
  const source = await bundleSource([folder])
  rmSync(join(folder, 'link'))
  writeFileSync(join(folder, 'new'), 'new')
  let bytes = 0
  for await (const block of source.read()) bytes += block.length
  await source.close()
  expect(bytes).toBe(source.size)
})

describe.skipIf(process.platform !== 'linux')('no file stays open', () => {
  test('when a reader leaves midway', async () => {
    const { folder } = await folderWith(LARGE)
    const source = await bundleSource([folder])
    for await (const block of source.read()) {
      expect(block.length).toBeGreaterThan(0)
      expect(openBelow(folder)).toHaveLength(1)
      break
    }
    expect(openBelow(folder)).toEqual([])
    await source.close()
  })

  test('when the source is closed while several readers are midway', async () => {
    const { folder } = await folderWith(LARGE)
    const source = await bundleSource([folder])
    const readers = [source.read(), source.read(2048), source.read(LARGE)]
    await Promise.all(readers.map((reader) => reader.next()))
    expect(openBelow(folder).length).toBeGreaterThan(0)
    await within(DEADLINE_MS, 'the source closes', source.close())
    expect(openBelow(folder)).toEqual([])
  })

  test('when a file has changed', async () => {
    const { folder, path } = await folderWith(LARGE)
    const source = await bundleSource([folder])
    await failure(source, () => truncateSync(path, 1))
    expect(openBelow(folder)).toEqual([])
  })
})
