import { randomBytes } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import {
  chmod,
  chown,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { get as httpGet } from 'node:http'
import { basename, join } from 'node:path'
import { finished } from 'node:stream/promises'
import { expect, onTestFinished, test } from 'vitest'
import { type DownloadOptions, download, type Sending, send } from '../../../client/index.js'
import { RECORD_BLOCK_BYTES } from '../../../client/receive/part-record.js'
import { openFileSink } from '../../../client/receive/sink.js'
import { findTarget } from '../../../client/receive/target.js'
import { EssError, type StatusEvent } from '../../../shared/index.js'
import { sha256 } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { essOnTerminal, runEss } from '../../helpers/run-ess.js'
import { type ServerHere, startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

const MIB = 1024 * 1024
const SIZE = 8 * MIB
const RESUMES = ['--resume-within', '30']

interface Broken {
  readonly server: ServerHere
  readonly content: Buffer
  readonly id: string
  readonly sending: Sending
  /** The folder of the download, the file in it, and the part of the run that was lost. */
  readonly folder: string
  readonly file: string
  readonly part: string
}

/** A sender whose receiver has read about 2 MiB, and then lost its connection. */
async function brokenOff({ isPiped = false } = {}): Promise<Broken> {
  const server = await startServerHere(...RESUMES)
  const content = randomBytes(SIZE)
  const path = join(await tempDir(), 'film.mkv')
  await writeFile(path, content)
  const sending = send(isPiped ? createReadStream(path) : path, { server: server.url })
  sending.verdict.catch(() => {})
  const events: StatusEvent[] = []
  void (async () => {
    for await (const event of sending) events.push(event)
  })().catch(() => {})
  await until('the link is there', () => events.some(({ event }) => event === 'opened'))
  const opened = events.find((event) => event.event === 'opened')
  const id = opened?.id ?? ''
  await readSome(`${server.url}/${id}`)
  await until('the sender waits', () =>
    events.some((event) => event.event === 'interrupted' && event.side === 'receiver'),
  )
  const folder = await tempDir()
  const file = join(folder, 'film.mkv')
  return { server, content, id, sending, folder, file, part: `${file}.${id}.part` }
}

async function readSome(url: string): Promise<void> {
  const reading = new Promise<void>((resolve, reject) => {
    let bytes = 0
    httpGet(url, (response) => {
      response.on('error', () => {}) // Its own end, below.
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes < 2 * MIB) return
        response.destroy()
        resolve()
      })
    }).on('error', reject)
  })
  await within(DEADLINE_MS, 'the first receiver reads', reading)
}

/** Leaves a part as a run that was killed an hour ago would have left it, with this many bytes on record. */
async function leave(part: string, bytes: Buffer, recorded: number): Promise<void> {
  await writeFile(part, bytes)
  await utimes(part, Math.floor(recorded / RECORD_BLOCK_BYTES), Date.now() / 1000 - 3600)
}

/** Downloads it; resolves with the offsets at which it went on, of which the first is where the part was trusted. */
async function fetchRest(
  { server, id, file }: Broken,
  options: DownloadOptions = {},
): Promise<readonly number[]> {
  const resumed: number[] = []
  const onResumed = (bytes: number) => void resumed.push(bytes)
  const done = download(id, { server: server.url, to: { file }, onResumed, ...options })
  await within(DEADLINE_MS, 'the download is whole', done)
  return resumed
}

async function expectWhole({ content, folder, file, sending }: Broken): Promise<void> {
  expect(sha256(await readFile(file))).toBe(sha256(content))
  expect(await readdir(folder)).toEqual(['film.mkv'])
  expect(await within(DEADLINE_MS, 'the verdict', sending.verdict)).toMatchObject({ bytes: SIZE })
}

async function failure(work: Promise<unknown>): Promise<EssError> {
  const ending = work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  const error = await within(DEADLINE_MS, 'the download fails', ending)
  if (error instanceof EssError) return error
  throw new Error(`Expected an EssError, got ${error}`)
}

test('ess get that was killed goes on when it is typed again, and says so', async (context) => {
  needs(context, 'script')
  const server = await startServerHere(...RESUMES)
  const path = join(await tempDir(), 'film.mkv')
  const content = randomBytes(32 * MIB)
  await writeFile(path, content)
  const sender = await runEss(server.url, ['send', '--json', path])
  const [, id = ''] = await sender.untilStdout(/"id":"([^"]+)"/)
  const slow = await startTcpProxy(server.port)
  onTestFinished(() => slow.close())
  await slow.strike({ kind: 'throttle', bytesPerSecond: 3 * MIB })
  const cwd = await tempDir()
  const first = await runEss(`http://127.0.0.1:${slow.port}`, ['get', id, '-o', 'film.mkv'], { cwd })
  const part = join(cwd, `film.mkv.${id}.part`)
  await until('a part is on record', async () => {
    const found = await stat(part).catch(() => undefined)
    return found !== undefined && found.atimeMs >= 1_000 && found.atimeMs < 1e9
  })
  first.kill('SIGKILL')
  await first.ended()
  const trusted = (await stat(part)).atimeMs / 1000
  const second = await essOnTerminal(cwd, ['get', `${server.url}/${id}`, '-o', 'film.mkv'])
  const words = (await second.ended()).stdout.toString().replaceAll('\r', '')
  expect(words).toMatch(
    /^The transfer has begun: 33\.6 MB\.\nGoing on from \d+\.\d MB\.\n(?:.*%.*\n)?Received film\.mkv, 33\.6 MB, the last .*\.\n$/,
  )
  expect(sha256(await readFile(join(cwd, 'film.mkv')))).toBe(sha256(content))
  expect((await readdir(cwd)).sort()).toEqual(['film.mkv', 'out'])
  const { code, stdout } = await sender.ended()
  expect(code).toBe(0)
  const [, offset] = /"event":"rewind","offset":(\d+)/.exec(stdout.toString()) ?? []
  expect(Number(offset)).toBe(trusted * RECORD_BLOCK_BYTES)
})

test('a receiver whose machine was lost takes its place, though its connection looks alive', async () => {
  const server = await startServerHere(...RESUMES)
  const path = join(await tempDir(), 'film.mkv')
  const content = randomBytes(32 * MIB)
  await writeFile(path, content)
  const sender = await runEss(server.url, ['send', '--json', path])
  const [, id = ''] = await sender.untilStdout(/"id":"([^"]+)"/)
  const network = await startTcpProxy(server.port)
  onTestFinished(() => network.close())
  const cwd = await tempDir()
  const struck = network.arm({ kind: 'black-hole' }, 'down', 4 * MIB)
  const first = await runEss(`http://127.0.0.1:${network.port}`, ['get', id, '-o', 'film.mkv'], { cwd })
  await within(DEADLINE_MS, 'the network is gone', struck)
  first.kill('SIGKILL')
  await first.ended()
  const second = await runEss(server.url, ['get', id, '-o', 'film.mkv'], { cwd })
  expect(await second.ended()).toMatchObject({ code: 0, stderr: '' })
  expect(sha256(await readFile(join(cwd, 'film.mkv')))).toBe(sha256(content))
  expect((await sender.ended()).code).toBe(0)
})

test('the part goes on from what is on record, and the file has a true time of access', async () => {
  const broken = await brokenOff()
  await leave(broken.part, broken.content.subarray(0, MIB), MIB)
  expect(await fetchRest(broken)).toEqual([MIB])
  await expectWhole(broken)
  expect(Date.now() - (await stat(broken.file)).atimeMs).toBeLessThan(60_000)
})

test('a download of unknown length goes on from its part', async () => {
  const broken = await brokenOff({ isPiped: true })
  await leave(broken.part, broken.content.subarray(0, MIB), MIB)
  expect(await fetchRest(broken)).toEqual([MIB])
  await expectWhole(broken)
})

test('a download into a folder finds its part', async () => {
  const broken = await brokenOff()
  await leave(broken.part, broken.content.subarray(0, MIB), MIB)
  expect(await fetchRest(broken, { to: { folder: broken.folder } })).toEqual([MIB])
  await expectWhole(broken)
})

test('a name that is too long for that has a part all the same', async () => {
  const broken = await brokenOff()
  const file = join(broken.folder, 'n'.repeat(250))
  await leave(join(broken.folder, `ess-${broken.id}.part`), broken.content.subarray(0, MIB), MIB)
  expect(await fetchRest(broken, { to: { file } })).toEqual([MIB])
  expect(sha256(await readFile(file))).toBe(sha256(broken.content))
})

/** What may be left in the place of a part, and from which byte a download goes on; undefined if it begins anew. */
const LEFT = {
  'zeros behind the record, as after a power cut': {
    leave: (part: string, content: Buffer) =>
      leave(part, Buffer.concat([content.subarray(0, MIB), Buffer.alloc(MIB)]), MIB),
    goesOnAt: MIB,
  },
  'a record of more than there is, as of a file that was cut': {
    leave: async (part: string, content: Buffer) => {
      await leave(part, content.subarray(0, MIB), 2 * MIB)
    },
    goesOnAt: MIB,
  },
  'no record, because another program has read it': {
    leave: async (part: string) => {
      await writeFile(part, randomBytes(MIB))
      await utimes(part, new Date(), Date.now() / 1000 - 3600)
    },
    goesOnAt: 0,
  },
  'more than the server has handed on': {
    leave: (part: string) => leave(part, randomBytes(7 * MIB), 7 * MIB),
    goesOnAt: undefined,
  },
  'more than the whole file': {
    leave: (part: string) => leave(part, randomBytes(9 * MIB), 9 * MIB),
    goesOnAt: undefined,
  },
  nothing: { leave: (part: string) => leave(part, Buffer.alloc(0), 0), goesOnAt: 0 },
} as const

test.each(Object.entries(LEFT))('a part with %s gives no wrong file', async (_what, { leave, goesOnAt }) => {
  const broken = await brokenOff()
  await leave(broken.part, broken.content)
  expect(await fetchRest(broken)).toEqual(goesOnAt === undefined ? [] : [goesOnAt])
  await expectWhole(broken)
})

test('fresh begins anew', async () => {
  const broken = await brokenOff()
  await leave(broken.part, randomBytes(MIB), MIB)
  expect(await fetchRest(broken, { fresh: true })).toEqual([0])
  await expectWhole(broken)
})

test.each(['link', 'second name', 'folder'] as const)('a %s in its place is left alone', async (kind) => {
  const broken = await brokenOff()
  const other = join(await tempDir(), 'other')
  await leave(other, randomBytes(MIB), MIB)
  const before = await readFile(other)
  if (kind === 'link') await symlink(other, broken.part)
  else if (kind === 'second name') await link(other, broken.part)
  else await mkdir(broken.part)
  expect(await fetchRest(broken)).toEqual([])
  expect(sha256(await readFile(broken.file))).toBe(sha256(broken.content))
  expect((await readFile(other)).equals(before)).toBe(true)
})

test.runIf(process.geteuid?.() === 0)("another user's file in its place is left alone", async () => {
  const broken = await brokenOff()
  await leave(broken.part, randomBytes(MIB), MIB)
  await chown(broken.part, 65534, 65534)
  expect(await fetchRest(broken)).toEqual([])
  expect(sha256(await readFile(broken.file))).toBe(sha256(broken.content))
})

test('a part that another process writes is left alone, and the link still works', async () => {
  const broken = await brokenOff()
  await leave(broken.part, broken.content.subarray(0, MIB), MIB)
  const pulse = setInterval(() => void utimes(broken.part, 16, new Date()), 200)
  onTestFinished(() => clearInterval(pulse))
  await utimes(broken.part, 16, new Date())
  expect(await failure(fetchRest(broken))).toMatchObject({
    code: 'file-exists',
    message: `Another download is writing ${broken.file}: ${broken.part} has just changed. Choose another name with -o, or try again later.`,
  })
  clearInterval(pulse)
  await leave(broken.part, broken.content.subarray(0, MIB), MIB)
  expect(await fetchRest(broken)).toEqual([MIB])
  await expectWhole(broken)
})

test.each([0o600, 0o444, 0o640])('a file that is replaced keeps its mode: %o', async (mode) => {
  const broken = await brokenOff()
  await writeFile(broken.file, 'old')
  await leave(broken.part, broken.content.subarray(0, MIB), MIB)
  await chmod(broken.part, mode)
  await chmod(broken.file, mode)
  expect(await fetchRest(broken, { force: true })).toEqual([MIB])
  expect((await stat(broken.file)).mode & 0o777).toBe(mode)
  await expectWhole(broken)
})

test('a part is removed when its link is over', async () => {
  const broken = await brokenOff()
  await leave(broken.part, broken.content.subarray(0, MIB), MIB)
  const others = [`film.mkv.AnOtherLink1.part`, `other.mkv`]
  for (const name of others) await leave(join(broken.folder, name), Buffer.from('mine'), 0)
  await fetch(`${broken.server.url}/${broken.id}`, { method: 'DELETE' })
  expect((await failure(fetchRest(broken))).code).toBe('gone')
  expect((await readdir(broken.folder)).sort()).toEqual(others)
})

test('a part is kept when the server is away, and the message says how to go on', async () => {
  const broken = await brokenOff()
  await leave(broken.part, broken.content.subarray(0, MIB), MIB)
  const network = await startTcpProxy(broken.server.port)
  await network.close()
  const error = await failure(fetchRest(broken, { server: `http://127.0.0.1:${network.port}` }))
  expect(error.code).toBe('server-unreachable')
  expect(error.message).toMatch(
    / What came so far is in .*\.part\. To go on, type the same command again soon\.$/,
  )
  expect(existsSync(broken.part)).toBe(true)
})

test.each([
  ['has removed', 'nothing', async (part: string) => await rm(part)],
  ['has cut', 'a short file', async (part: string) => await writeFile(part, '')],
  [
    'has put another in the place of',
    'another file',
    async (part: string) => {
      await rm(part)
      await writeFile(part, 'whole')
    },
  ],
])('a part that another run %s is no whole download (%s)', async (_how, _left, change) => {
  const folder = await tempDir()
  const path = join(folder, 'film.mkv')
  const target = findTarget(path, { force: false, isTyped: true })
  if (target.kind !== 'file') throw new Error('a new name is no stream')
  const sink = await openFileSink(target, false, { id: 'AbCdEfGhIjKl', isFresh: false, signal: undefined })
  sink.writable.end('whole')
  await finished(sink.writable)
  // Another file gets another inode, even where the first one's is free again.
  const part = `${path}.AbCdEfGhIjKl.part`
  const held = await open(part, 'r')
  onTestFinished(() => held.close())
  await change(part)
  await expect(sink.commit()).rejects.toMatchObject({ code: 'file-unwritable' })
  expect(await readdir(folder)).not.toContain(basename(path))
})

test('a run that goes on cuts off nothing that a suspended one has written', async () => {
  const folder = await tempDir()
  const path = join(folder, 'film.mkv')
  const target = findTarget(path, { force: false, isTyped: true })
  if (target.kind !== 'file') throw new Error('a new name is no stream')
  const terms = { id: 'AbCdEfGhIjKl', isFresh: false, signal: undefined }
  const first = await openFileSink(target, false, terms)
  await new Promise<void>((resolve, reject) => {
    first.writable.write('first half, ', (error) => (error ? reject(error) : resolve()))
  })
  // It is silent for a while.
  const longAgo = new Date(Date.now() - 60_000)
  await utimes(`${path}.AbCdEfGhIjKl.part`, longAgo, longAgo)
  const second = await openFileSink(target, false, terms)
  expect(second.begun).toBe(0)
  second.writable.destroy()
  first.writable.end('second half')
  await finished(first.writable)
  expect(await first.commit()).toBeUndefined()
  expect(await readFile(path, 'utf8')).toBe('first half, second half')
})
