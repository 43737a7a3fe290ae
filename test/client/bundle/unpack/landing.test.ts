import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { land } from '../../../../client/bundle/unpack/land.js'
import { type Made, tarOf } from '../../../helpers/tar.js'
import { tempDir } from '../../../helpers/temp-dir.js'
import { snapshot } from '../../../helpers/tree.js'
import { PART_ID, unpack } from '../../../helpers/unpack.js'

/** Linux takes any bytes as a name. */
const TAKES_BYTES = process.platform === 'linux'
const isRoot = process.geteuid?.() === 0
const NOBODY = 65534

const folder = (name: string, mode = 0o755): Made => ({ name: `${name}/`, type: '5', mode })
const file = (name: string, content = 'new'): Made => ({ name, content })
const link = (name: string, target: string): Made => ({ name, type: '2', link: target })

const PHOTOS = tarOf(
  folder('photos'),
  file('photos/a'),
  folder('photos/sub'),
  file('photos/sub/b'),
  link('photos/l', 'a'),
)
const SEVERAL = tarOf(file('a'), folder('b'), file('b/x'), file('c'))

/** Unpacks what can't get its place: nothing but the part is new, and that has all of it. */
async function keptAside(to: string, tar: Buffer, force: boolean): Promise<string | undefined> {
  const before = snapshot(to)
  const error = await unpack(to, tar, { force })
  expect(error).toMatchObject({ code: 'file-exists' })
  const part = `photos.${PART_ID}.part`
  expect(error?.message).toContain(` The whole download is in ${join(to, part, 'files')}.`)
  const after = snapshot(to)
  for (const path of Object.keys(after)) if (path.startsWith(part)) Reflect.deleteProperty(after, path)
  expect(after).toEqual(before)
  expect(readdirSync(join(to, part))).toEqual(['files'])
  return error?.message
}

test.each([
  ['an empty folder', (path: string) => mkdirSync(path)],
  ['a file', (path: string) => writeFileSync(path, 'old')],
  ['a link to nothing', (path: string) => symlinkSync('nowhere', path)],
  ['a link to a folder', (path: string) => symlinkSync('.', path)],
  ['a FIFO', (path: string) => void execFileSync('mkfifo', [path])],
])('without force, %s is not replaced by a folder', async (_what, make) => {
  const to = await tempDir()
  make(join(to, 'photos'))
  expect(await keptAside(to, PHOTOS, false)).toContain(`${join(to, 'photos')} exists already. `)
  const part = join(to, `photos.${PART_ID}.part`, 'files/photos')
  expect(readFileSync(join(part, 'sub/b'), 'utf8')).toBe('new')
  expect(readlinkSync(join(part, 'l'))).toBe('a')
})

test.each(['a', 'b', 'c'])('without force, if %s of several is there, none gets its place', async (name) => {
  const to = await tempDir()
  writeFileSync(join(to, name), 'old')
  await keptAside(to, SEVERAL, false)
})

const KINDS = {
  folder: (path: string) => mkdirSync(path),
  file: (path: string) => writeFileSync(path, 'x'),
  link: (path: string) => symlinkSync('x', path),
}
const PAIRS = Object.keys(KINDS).flatMap((one) => Object.keys(KINDS).map((other) => [one, other] as const))

test.each(PAIRS)('a %s that appears in the last moment is not replaced by a %s', async (one, other) => {
  const [from, to] = [await tempDir(), await tempDir()]
  const kinds = new Map(Object.entries(KINDS))
  kinds.get(one)?.(join(from, 'first'))
  kinds.get(other)?.(join(from, 'second'))
  const before = snapshot(from)
  // When the second one comes, the first one has just taken the name.
  const landings = ['first', 'second'].map((name) => ({ from: join(from, name), to: join(to, 'x') }))
  await expect(land(landings, false, from)).rejects.toMatchObject({ code: 'file-exists' })
  expect(readdirSync(to)).toEqual([])
  expect(snapshot(from)).toEqual(before)
})

test('a move that fails takes all others back', async () => {
  const [from, to, aside] = [await tempDir(), await tempDir(), await tempDir()]
  mkdirSync(join(from, 'a/sub'), { recursive: true })
  chmodSync(join(from, 'a'), 0o555)
  writeFileSync(join(from, 'b'), 'new')
  symlinkSync('b', join(from, 'c'))
  writeFileSync(join(from, 'd'), 'new')
  writeFileSync(join(to, 'd'), 'old')
  const landings = ['a', 'b', 'c', 'd'].map((name) => ({ from: join(from, name), to: join(to, name) }))
  const before = [snapshot(from), snapshot(to)]
  // What is replaced has nowhere to go.
  await expect(land(landings, true, join(aside, 'none'))).rejects.toMatchObject({ code: 'ENOENT' })
  expect([snapshot(from), snapshot(to)]).toEqual(before)
})

test('with force, files and links are replaced, and folders get what they lack', async () => {
  const to = await tempDir()
  mkdirSync(join(to, 'photos/sub/deep'), { recursive: true })
  writeFileSync(join(to, 'photos/a'), 'old')
  writeFileSync(join(to, 'photos/mine'), 'mine')
  writeFileSync(join(to, 'photos/sub/deep/mine'), 'mine')
  writeFileSync(join(to, 'outside'), 'outside')
  // Our file comes to where a link is, and our link to where a file is.
  symlinkSync('../../outside', join(to, 'photos/sub/b'))
  writeFileSync(join(to, 'photos/l'), 'old')
  expect(await unpack(to, PHOTOS, { force: true })).toBeUndefined()
  expect(Object.keys(snapshot(to))).toEqual(
    expect.arrayContaining(['photos/a', 'photos/l', 'photos/mine', 'photos/sub/b', 'photos/sub/deep/mine']),
  )
  expect(readdirSync(to)).toEqual(['outside', 'photos'])
  expect(readFileSync(join(to, 'photos/a'), 'utf8')).toBe('new')
  expect(readlinkSync(join(to, 'photos/l'))).toBe('a')
  expect(lstatSync(join(to, 'photos/sub/b')).isFile()).toBe(true)
  expect(readFileSync(join(to, 'outside'), 'utf8')).toBe('outside')
  expect(readFileSync(join(to, 'photos/sub/deep/mine'), 'utf8')).toBe('mine')
})

test.each([
  [
    'a link to a folder in the place of the top folder',
    (to: string) => {
      mkdirSync(join(to, 'victim'))
      symlinkSync('victim', join(to, 'photos'))
    },
  ],
  [
    'a link to a folder in the place of a folder within',
    (to: string) => {
      mkdirSync(join(to, 'photos'))
      mkdirSync(join(to, 'victim'))
      symlinkSync('../victim', join(to, 'photos/sub'))
    },
  ],
  ['a folder in the place of a file', (to: string) => mkdirSync(join(to, 'photos/a'), { recursive: true })],
  ['a folder in the place of a link', (to: string) => mkdirSync(join(to, 'photos/l'), { recursive: true })],
  [
    'a file in the place of a folder',
    (to: string) => {
      mkdirSync(join(to, 'photos'))
      writeFileSync(join(to, 'photos/sub'), 'old')
    },
  ],
  [
    'a FIFO in the place of a file',
    (to: string) => {
      mkdirSync(join(to, 'photos'))
      execFileSync('mkfifo', [join(to, 'photos/a')])
    },
  ],
])('with force, %s stays, and the download is kept aside', async (_what, make) => {
  const to = await tempDir()
  make(to)
  await keptAside(to, PHOTOS, true)
})

test('at a path, one folder gets that name, and so does one file', async () => {
  const to = await tempDir()
  expect(await unpack(to, PHOTOS, { file: join(to, 'x') })).toBeUndefined()
  expect(readdirSync(join(to, 'x'))).toEqual(['a', 'l', 'sub'])
  expect(await unpack(to, tarOf(file('only')), { file: join(to, 'y') })).toBeUndefined()
  expect(readFileSync(join(to, 'y'), 'utf8')).toBe('new')
  expect(readdirSync(to)).toEqual(['x', 'y'])
})

test('at a path, several things are in a folder of that name, under the very names that they had', async () => {
  const to = await tempDir()
  expect(await unpack(to, tarOf(file('.env'), file('env')), { file: join(to, 'x') })).toBeUndefined()
  expect(readdirSync(join(to, 'x'))).toEqual(['.env', 'env'])
})

test('in a folder, no hidden file and no option appears', async () => {
  const to = await tempDir()
  const tar = tarOf(file('.bashrc'), file('-rf'), folder('.ssh'), file('.ssh/authorized_keys'))
  expect(await unpack(to, tar)).toBeUndefined()
  expect(readdirSync(to)).toEqual(['bashrc', 'rf', 'ssh'])
})

test('links from one of several things to another one are kept', async () => {
  const to = await tempDir()
  const tar = tarOf(folder('a'), link('a/up', '../b/x'), folder('b'), file('b/x'), link('c', 'a/up'))
  expect(await unpack(to, tar)).toBeUndefined()
  expect(readFileSync(join(to, 'c'), 'utf8')).toBe('new')
})

test('set-user-ID, set-group-ID and sticky bits are dropped', async () => {
  const to = await tempDir()
  const tar = tarOf(
    folder('photos', 0o7755),
    { ...file('photos/a'), mode: 0o7755 },
    { ...file('photos/b'), mode: 0o7111 },
  )
  expect(await unpack(to, tar)).toBeUndefined()
  const modes = ['.', 'a', 'b'].map((name) => (lstatSync(join(to, 'photos', name)).mode & 0o7777).toString(8))
  expect(modes).toEqual(['755', '755', '111'])
})

test('the umask counts', async () => {
  const to = await tempDir()
  const before = process.umask(0o027)
  try {
    expect(
      await unpack(
        to,
        tarOf(
          folder('photos', 0o777),
          { ...file('photos/a'), mode: 0o666 },
          { ...file('photos/b'), mode: 0o466 },
        ),
      ),
    ).toBeUndefined()
  } finally {
    process.umask(before)
  }
  const modes = ['.', 'a', 'b'].map((name) => (lstatSync(join(to, 'photos', name)).mode & 0o7777).toString(8))
  expect(modes).toEqual(['750', '640', '440'])
})

test('times are kept to the microsecond, also those before 1970', async () => {
  const to = await tempDir()
  const tar = tarOf(
    { ...folder('photos'), pax: { mtime: '1700000000.123456789' } },
    { ...file('photos/a'), pax: { mtime: '-1.5' } },
  )
  expect(await unpack(to, tar)).toBeUndefined()
  expect(lstatSync(join(to, 'photos')).mtimeMs).toBeCloseTo(1_700_000_000_123.456, 2)
  expect(lstatSync(join(to, 'photos/a')).mtimeMs).toBe(-1500)
})

test('who is not root can unpack folders that are not writable, and replace what is in them', async () => {
  const to = await tempDir()
  const tar = tarOf(
    ...[
      folder('photos', 0o555),
      file('photos/a'),
      folder('photos/sub', 0o000),
      { ...file('photos/sub/b'), mode: 0 },
    ],
  )
  await chmod(to, 0o777)
  await asNobody(async () => {
    expect(await unpack(to, tar)).toBeUndefined()
    expect((lstatSync(join(to, 'photos')).mode & 0o777).toString(8)).toBe('555')
    expect((lstatSync(join(to, 'photos/sub')).mode & 0o777).toString(8)).toBe('0')
    expect(readdirSync(to)).toEqual(['photos'])
    // Into a folder that is not writable, nothing can be put.
    expect(await unpack(to, tar, { force: true })).toMatchObject({ code: 'file-unwritable' })
    chmodSync(join(to, 'photos/sub'), 0o755)
    expect(existsSync(join(to, 'photos/sub/b'))).toBe(true)
  })
})

test('who is not root leaves nothing of a bundle that is refused at its end', async () => {
  const to = await tempDir()
  await chmod(to, 0o777)
  await asNobody(async () => {
    const tar = tarOf(
      folder('photos', 0o555),
      folder('photos/sub', 0o555),
      file('photos/sub/b'),
      link('photos/l', '..'),
    )
    expect(await unpack(to, tar)).toMatchObject({ code: 'unsafe-bundle' })
    expect(readdirSync(to)).toEqual([])
  })
})

/** Does it without the rights of root. */
async function asNobody(work: () => Promise<void>): Promise<void> {
  if (isRoot) process.seteuid?.(NOBODY)
  try {
    await work()
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
}

test('things whose safe names are one get numbers, and those with a safe name keep it', async () => {
  const to = await tempDir()
  const named = (name: string | Buffer, content: string): Made => ({ name, content })
  const bytes = Buffer.from([0x2d, 0xe9])
  const tar = tarOf(
    named('--env.txt', '1'),
    named('.env.txt', '2'),
    folder('.profile'),
    file('.profile/x', '3'),
    named('env.txt', '4'),
    folder('profile'),
    link('profile/l', '../env.txt'),
    ...(TAKES_BYTES ? [named(bytes, '5'), named(bytes.subarray(1), '6')] : []),
  )
  expect(await unpack(to, tar)).toBeUndefined()
  const contentOf = (name: string | Buffer) =>
    readFileSync(
      typeof name === 'string' ? join(to, name) : Buffer.concat([Buffer.from(`${to}/`), name]),
      'utf8',
    )
  expect(['env (2).txt', 'env (3).txt', 'profile (2)/x', 'env.txt', 'profile/l'].map(contentOf)).toEqual([
    '1',
    '2',
    '3',
    '4',
    '4',
  ])
  if (!TAKES_BYTES) return
  expect(contentOf(Buffer.concat([bytes.subarray(1), Buffer.from(' (2)')]))).toBe('5')
  expect(contentOf(bytes.subarray(1))).toBe('6')
})
