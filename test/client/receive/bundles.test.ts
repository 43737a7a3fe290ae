import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { type DownloadOptions, download, send } from '../../../client/index.js'
import { EssError, EXIT_STATUS } from '../../../shared/index.js'
import { sendBundle } from '../../helpers/bundle-sender.js'
import { hostileTars } from '../../helpers/hostile-tars.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { ESS } from '../../helpers/run-ess.js'
import { type ServerHere, startServerHere } from '../../helpers/start-server-here.js'
import { countEntries, tarOf } from '../../helpers/tar.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { snapshot } from '../../helpers/tree.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

const FOLDER = tarOf(
  { name: 'photos/', type: '5', mode: 0o755 },
  { name: 'photos/a.txt', content: 'hello' },
  { name: 'photos/sub/', type: '5', mode: 0o755 },
  { name: 'photos/sub/b.txt', content: 'b' },
)
const SEVERAL = tarOf({ name: 'a.txt', content: 'hello' }, { name: 'sub/', type: '5', mode: 0o755 })

async function sent(
  tar: Buffer,
  {
    name = 'photos.tar',
    entries = countEntries(tar),
    server,
  }: { name?: string; entries?: number; server?: ServerHere } = {},
) {
  const { url } = server ?? (await startServerHere())
  return await sendBundle(url, { tar, entries, name })
}

async function received(url: string, options: DownloadOptions) {
  return await within(DEADLINE_MS, 'the bundle is received', download(url, options))
}

async function failure(url: string, options: DownloadOptions): Promise<EssError> {
  const error = await received(url, options).catch((reason: unknown) => reason)
  if (error instanceof EssError) return error
  throw new Error(`expected an EssError, got ${error}`)
}

test('a folder lands in the folder under its own name, and the sender is told', async () => {
  const to = await tempDir()
  const { url, verdict } = await sent(FOLDER)
  const { path, bundle, bytes } = await received(url, { to: { folder: to } })
  expect({ path, bundle, bytes }).toEqual({
    path: join(to, 'photos'),
    bundle: { entries: 4 },
    bytes: FOLDER.length,
  })
  expect(await readdir(to)).toEqual(['photos'])
  expect(await readFile(join(to, 'photos/sub/b.txt'), 'utf8')).toBe('b')
  expect(await verdict()).toMatchObject({ event: 'delivered', confirmed: true })
})

test('several things land in the folder, each under its own name', async () => {
  const to = await tempDir()
  const { url } = await sent(SEVERAL, { name: 'files.tar' })
  expect((await received(url, { to: { folder: to } })).path).toBe(to)
  expect(await readdir(to)).toEqual(['a.txt', 'sub'])
})

test.each([
  ['one folder gets the name', FOLDER, ['a.txt', 'sub']],
  ['several things are held by a folder of the name', SEVERAL, ['a.txt', 'sub']],
])('at a path, %s', async (_what, tar, names) => {
  const to = await tempDir()
  const { url } = await sent(tar)
  const file = join(to, 'holiday')
  expect((await received(url, { to: { file } })).path).toBe(file)
  expect(await readdir(to)).toEqual(['holiday'])
  expect(await readdir(file)).toEqual(names)
})

test.each([['x.tar'], ['x.TAR']])('at the path %s, the tar is kept as it is', async (name) => {
  const to = await tempDir()
  const { url } = await sent(FOLDER)
  await received(url, { to: { file: join(to, name) } })
  expect(await readFile(join(to, name))).toEqual(FOLDER)
})

test('with unpack: false, the tar is kept as it is', async () => {
  const to = await tempDir()
  const { url } = await sent(FOLDER)
  await received(url, { to: { folder: to }, unpack: false })
  expect(await readdir(to)).toEqual(['photos.tar'])
  expect(await readFile(join(to, 'photos.tar'))).toEqual(FOLDER)
})

test('a stream and a FIFO get the tar', async () => {
  const stream = new PassThrough()
  const taken = buffer(stream)
  const first = await sent(FOLDER)
  await received(first.url, { to: { stream } })
  stream.end()
  expect(await within(DEADLINE_MS, 'the stream is read', taken)).toEqual(FOLDER)

  const fifo = join(await tempDir(), 'fifo')
  execFileSync('mkfifo', [fifo])
  const second = await sent(FOLDER)
  const [content] = await Promise.all([readFile(fifo), received(second.url, { to: { file: fifo } })])
  expect(content).toEqual(FOLDER)
})

test('a tar that is a file of its own is one here', async () => {
  const [from, to] = [await tempDir(), await tempDir()]
  await writeFile(join(from, 'photos.tar'), FOLDER)
  const { url } = await startServerHere()
  const sending = send(join(from, 'photos.tar'), { server: url })
  for await (const event of sending)
    if (event.event === 'opened') await received(event.url, { to: { folder: to } })
  expect(await readdir(to)).toEqual(['photos.tar'])
})

test('a folder that exists already is told before the link is used', async () => {
  const to = await tempDir()
  await mkdir(join(to, 'photos'))
  const server = await startServerHere()
  const { url } = await sent(FOLDER, { server })
  expect(await failure(url, { to: { folder: to } })).toMatchObject({
    code: 'file-exists',
    exitStatus: EXIT_STATUS.local,
    message: `${join(to, 'photos')} exists already. Overwrite it with -f, or choose another name with -o.`,
  })
  expect((await received(url, { to: { file: join(to, 'other') } })).bytes).toBe(FOLDER.length)
})

test('a name that is only found to be taken at the end: the download is kept aside, and the sender is told delivered', async () => {
  const to = await tempDir()
  await mkdir(join(to, 'photos'))
  await writeFile(join(to, 'photos/mine'), 'mine')
  // The name promises another folder.
  const { url, id, verdict } = await sent(FOLDER, { name: 'other.tar' })
  const part = join(to, `other.${id}.part`)
  expect(await failure(url, { to: { folder: to } })).toMatchObject({
    code: 'file-exists',
    exitStatus: EXIT_STATUS.local,
    message: `${join(to, 'photos')} exists already. The whole download is in ${join(part, 'files')}.`,
  })
  expect(await verdict()).toMatchObject({ event: 'delivered', confirmed: true })
  expect(await readdir(join(to, 'photos'))).toEqual(['mine'])
  expect(await readdir(part)).toEqual(['files'])
  expect(await readFile(join(part, 'files/photos/sub/b.txt'), 'utf8')).toBe('b')
})

test('hostile archives: nothing is kept, and the sender is told that it failed', {
  timeout: 120_000,
}, async () => {
  const server = await startServerHere()
  const around = await tempDir()
  const [to, outside] = [join(around, 'to'), join(around, 'outside')]
  await mkdir(to)
  await mkdir(outside)
  await writeFile(join(outside, 'victim'), 'there')
  await symlink(outside, join(to, 'out'))
  const before = snapshot(around)
  for (const { name, tar, why, entries } of hostileTars(outside)) {
    // The server takes no empty one for a transfer with a length.
    if (tar.length === 0) continue
    const { url, verdict } = await sent(tar, { server, ...(entries !== undefined && { entries }) })
    const error = await failure(url, { to: { folder: to } })
    expect({ name, code: error.code }).toEqual({ name, code: 'unsafe-bundle' })
    expect(error.message).toMatch(why)
    expect({ ...snapshot(around), to: before['to'] }).toEqual(before)
    expect(await verdict()).toMatchObject({ event: 'failed' })
  }
})

test.for([
  { what: 'for its bytes', mount: 'size=64k', why: /photos: it needs \d+\.\d kB, and the disk has/ },
  {
    what: 'for its files',
    mount: 'nr_inodes=20',
    why: /photos: it has 101 items, and the disk takes \d+ more\. /,
  },
])('a disk that has no room $what is told before the link is used', async ({ mount, why }, context) => {
  needs(context, 'unshare', 'mount')
  const cwd = await tempDir()
  await mkdir(join(cwd, 'disk'))
  const isRoot = process.geteuid?.() === 0
  const words = ['-m', ...(isRoot ? [] : ['-r']), 'sh', '-ec']
  const prepare = `mount -t tmpfs -o ${mount} none disk`
  try {
    execFileSync('unshare', [...words, prepare], { cwd, stdio: 'ignore' })
  } catch {
    // A container may not let us.
    context.skip('needs a mount namespace of its own')
  }
  const files = Array.from({ length: 100 }, (_file, index) => ({ name: `photos/${index}`, content: 'x' }))
  const { url } = await sent(tarOf({ name: 'photos/', type: '5' }, ...files))
  const env = { NODE: process.execPath, ESS }
  const script = `${prepare}; "$NODE" "$ESS" get "$1" -o disk; code=$?; ls -A disk; exit $code`
  const program = await run('ess get on a small disk', 'unshare', [...words, script, 'sh', url], { cwd, env })
  const { code, stdout, stderr } = await program.ended()
  expect(stderr).toMatch(why)
  expect({ code, left: stdout.toString() }).toEqual({ code: EXIT_STATUS.local, left: '' })
  expect((await received(url, { to: { folder: cwd } })).path).toBe(join(cwd, 'photos'))
})
