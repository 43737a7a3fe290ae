import { randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  lutimes,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { get as httpGet } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import {
  type DownloadOptions,
  download,
  type Sending,
  type SendOptions,
  send,
} from '../../../client/index.js'
import { EssError, EXIT_STATUS, type StatusEvent } from '../../../shared/index.js'
import { runEss } from '../../helpers/run-ess.js'
import { type ServerHere, startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { snapshot } from '../../helpers/tree.js'
import { leaveAsKilled, pour, sinkFor } from '../../helpers/unpack.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

const MIB = 1024 * 1024
const RESUMES = ['--resume-within', '30']
const ENTRIES = 8

/** A folder `photos` of about 6 MiB: small files, a large one, and small ones again. */
async function photos(): Promise<string> {
  const root = await tempDir()
  const path = join(root, 'photos')
  await mkdir(join(path, 'm'), { recursive: true })
  for (const name of ['a', 'b', 'm/n', 'z']) await writeFile(join(path, name), randomBytes(5000))
  await writeFile(join(path, 'c'), randomBytes(6 * MIB))
  await symlink('m/n', join(path, 'l'))
  // A tar of ours has whole seconds.
  for (const name of ['a', 'b', 'm/n', 'z', 'c', 'l', 'm', '.']) await lutimes(join(path, name), 1e9, 1e9)
  return root
}

interface Sent {
  readonly sending: Sending
  readonly events: readonly StatusEvent[]
  readonly url: string
  readonly id: string
}

async function sent(server: ServerHere, from: string, options: SendOptions = {}): Promise<Sent> {
  const sending = send(join(from, 'photos'), { server: server.url, ...options })
  sending.verdict.catch(() => {})
  const events: StatusEvent[] = []
  void (async () => {
    for await (const event of sending) events.push(event)
  })().catch(() => {})
  const opened = await until('the link is there', () => events.find((event) => event.event === 'opened'))
  return { sending, events, url: opened.url, id: opened.id }
}

interface Broken {
  readonly server: ServerHere
  readonly from: string
  readonly sending: Sending
  readonly id: string
  /** What the first receiver read before it was lost. */
  readonly tar: Buffer
  readonly size: number
  readonly to: string
  readonly part: string
}

/** A sender of a folder whose receiver has read about 2 MiB, and then lost its connection. */
async function brokenOff(): Promise<Broken> {
  const server = await startServerHere(...RESUMES)
  const from = await photos()
  const { sending, events, id } = await sent(server, from)
  const { tar, size } = await readSome(`${server.url}/${id}`)
  await until('the sender waits', () =>
    events.some((event) => event.event === 'interrupted' && event.side === 'receiver'),
  )
  const to = await tempDir()
  return { server, from, sending, id, tar, size, to, part: join(to, `photos.${id}.part`) }
}

async function readSome(url: string): Promise<{ tar: Buffer; size: number }> {
  const reading = new Promise<{ tar: Buffer; size: number }>((resolve, reject) => {
    const chunks: Buffer[] = []
    httpGet(url, (response) => {
      response.on('error', () => {}) // Its own end, below.
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        const tar = Buffer.concat(chunks)
        if (tar.length < 2 * MIB) return
        response.destroy()
        resolve({ tar, size: Number(response.headers['content-length']) })
      })
    }).on('error', reject)
  })
  return await within(DEADLINE_MS, 'the first receiver reads', reading)
}

/** Leaves the part of a run that was killed when it had read this many bytes. */
async function leave({ to, tar, size, id }: Broken, bytes: number): Promise<void> {
  const sink = await sinkFor(to, tar, { id, size, entries: ENTRIES })
  await pour(sink, tar.subarray(0, bytes), [64 * 1024])
  await leaveAsKilled(sink)
}

/** Downloads it. Resolves with the offsets at which it went on. */
async function fetchRest(
  { server, id, to }: Broken,
  options: DownloadOptions = {},
): Promise<readonly number[]> {
  const resumed: number[] = []
  const onResumed = (bytes: number) => void resumed.push(bytes)
  const done = download(id, { server: server.url, to: { folder: to }, onResumed, ...options })
  await within(DEADLINE_MS, 'the download is whole', done)
  return resumed
}

async function failure(work: Promise<unknown>): Promise<EssError> {
  const error = await within(
    DEADLINE_MS,
    'the download fails',
    work.catch((reason: unknown) => reason),
  )
  if (error instanceof EssError) return error
  throw new Error(`expected an EssError, got ${error}`)
}

async function expectWhole({ from, to, sending }: Broken, others: readonly string[] = []): Promise<void> {
  expect((await readdir(to)).sort()).toEqual([...others, 'photos'].sort())
  const found = Object.entries(snapshot(to)).filter(([path]) => /^photos(?:\/|$)/.test(path))
  expect(Object.fromEntries(found)).toEqual(snapshot(from))
  expect(await within(DEADLINE_MS, 'the verdict', sending.verdict)).toMatchObject({ event: 'delivered' })
}

test.each([
  ['in the open', false],
  ['sealed', true],
])('ess get of a folder, %s, that was killed goes on when it is typed again', async (_how, encrypt) => {
  const server = await startServerHere(...RESUMES)
  const from = await photos()
  const { sending, events, url } = await sent(server, from, { encrypt })
  const slow = await startTcpProxy(server.port)
  onTestFinished(() => slow.close())
  await slow.strike({ kind: 'throttle', bytesPerSecond: 2 * MIB })
  const cwd = await tempDir()
  const first = await runEss(
    undefined,
    ['get', url.replace(`:${server.port}/`, `:${slow.port}/`), '-o', '.'],
    { cwd },
  )
  const part = await until('a part is there', async () => (await readdir(cwd))[0])
  const large = join(cwd, part, 'files/photos/c')
  await until('the large file is begun', async () => {
    const found = await stat(large).catch(() => undefined)
    return found !== undefined && found.size > 0
  })
  first.kill('SIGKILL')
  await first.ended()
  const bytes = (await stat(large)).size
  const second = await runEss(undefined, ['get', url, '-o', '.'], { cwd })
  const ending = await second.ended()
  expect(ending.stderr).toMatch(/^ess: Going on from \d\.\d MB\.\n$/)
  expect(ending.code).toBe(0)
  expect(await readdir(cwd)).toEqual(['photos'])
  expect(snapshot(cwd)).toEqual(snapshot(from))
  expect(await within(DEADLINE_MS, 'the verdict', sending.verdict)).toMatchObject({ event: 'delivered' })
  const [rewind] = events.filter((event) => event.event === 'rewind')
  expect(rewind?.offset).toBeGreaterThan(bytes - 64 * 1024)
})

test('the part is gone on with from the byte where it ends', async () => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  expect(await fetchRest(broken)).toEqual([MIB])
  await expectWhole(broken)
})

test('at another path, the part is that of this path', async () => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  await rename(broken.part, join(broken.to, `x.${broken.id}.part`))
  expect(await fetchRest(broken, { to: { file: join(broken.to, 'x') } })).toEqual([MIB])
  expect(await readdir(broken.to)).toEqual(['x'])
})

/** What may have become of a part, so that nothing of it is trusted. */
const SPOILT = {
  'that another boot of the system has left': async (part: string) => {
    const journal = await readFile(join(part, 'journal'), 'latin1')
    await writeFile(join(part, 'journal'), journal.replace(/^\["[^"]*"/, '["another"'), 'latin1')
  },
  'of which a file is missing': (part: string) => unlink(join(part, 'files/photos/a')),
  'of which a file was cut': (part: string) => truncate(join(part, 'files/photos/a'), 1),
  'of which the last file is too long': (part: string) => truncate(join(part, 'files/photos/c'), 7 * MIB),
  'in which a link stands in the place of a file': async (part: string) => {
    await rm(join(part, 'files/photos/c'))
    await symlink('/etc/passwd', join(part, 'files/photos/c'))
  },
  'in which a link stands in the place of a folder': async (part: string) => {
    await rename(join(part, 'files/photos'), join(part, 'files/moved'))
    await symlink('moved', join(part, 'files/photos'))
  },
  'whose journal is garbage': (part: string) => writeFile(join(part, 'journal'), randomBytes(1000)),
  'whose journal is empty': (part: string) => truncate(join(part, 'journal'), 0),
  'whose files are gone': (part: string) => rm(join(part, 'files'), { recursive: true }),
} as const

test.each(Object.entries(SPOILT))('a part %s is begun anew', async (_what, spoil) => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  await spoil(broken.part)
  await utimes(join(broken.part, 'journal'), 1, 1)
  expect(await fetchRest(broken)).toEqual([0])
  await expectWhole(broken)
})

test('a line that was cut off in the journal is not one', async () => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  const journal = await readFile(join(broken.part, 'journal'))
  await truncate(join(broken.part, 'journal'), journal.length - 3)
  // It is written before its file is made.
  await unlink(join(broken.part, 'files/photos/c'))
  await utimes(join(broken.part, 'journal'), 1, 1)
  const [offset = 0] = await fetchRest(broken)
  // Behind `b`, the file before it.
  expect(offset).toBeGreaterThan(10_000)
  expect(offset).toBeLessThan(20_000)
  await expectWhole(broken)
})

test('fresh begins anew', async () => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  expect(await fetchRest(broken, { fresh: true })).toEqual([0])
  await expectWhole(broken)
})

/** What is no part of ours, and is left alone. */
const FOREIGN = {
  'a link to a part': async (part: string) => {
    const other = join(await tempDir(), 'other')
    await rename(part, other)
    await symlink(other, part)
  },
  'a folder that others can write': (part: string) => chmod(part, 0o777),
  'a folder without a journal': (part: string) => unlink(join(part, 'journal')),
  'a journal that is a link': async (part: string) => {
    await rename(join(part, 'journal'), join(part, 'other'))
    await symlink('other', join(part, 'journal'))
  },
} as const

test.each(Object.entries(FOREIGN))('%s in its place is left alone', async (_what, make) => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  await make(broken.part)
  const before = snapshot(broken.part)
  expect(await fetchRest(broken)).toEqual([])
  expect(snapshot(broken.part)).toEqual(before)
  await expectWhole(broken, [`photos.${broken.id}.part`])
})

test.runIf(process.geteuid?.() === 0)("another user's folder in its place is left alone", async () => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  await chown(broken.part, 65534, 65534)
  expect(await fetchRest(broken)).toEqual([])
  await expectWhole(broken, [`photos.${broken.id}.part`])
})

test('a part that another process writes is left alone, and the link still works', async () => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  const journal = join(broken.part, 'journal')
  const pulse = setInterval(() => void utimes(journal, 1, new Date()), 200)
  onTestFinished(() => clearInterval(pulse))
  await utimes(journal, 1, new Date())
  expect(await failure(fetchRest(broken))).toMatchObject({
    code: 'file-exists',
    message: `Another download is writing ${join(broken.to, 'photos')}: ${broken.part} has just changed. Choose another name with -o, or try again later.`,
  })
  clearInterval(pulse)
  await utimes(journal, 1, 1)
  expect(await fetchRest(broken)).toEqual([MIB])
  await expectWhole(broken)
})

test('a run that was only suspended leaves the part to the one that has taken it', async () => {
  const broken = await brokenOff()
  const { to, tar, size, id } = broken
  const terms = { id, size, entries: ENTRIES }
  const suspended = await sinkFor(to, tar, terms)
  suspended.writable.on('error', () => {}) // The write that fails tells of it.
  await pour(suspended, tar.subarray(0, MIB), [64 * 1024])
  await utimes(join(broken.part, 'journal'), 1, 1)
  const second = await sinkFor(to, tar, terms)
  expect(second.begun).toBe(MIB)
  await suspended.discard(true)
  await pour(second, tar.subarray(MIB), [64 * 1024])
  await leaveAsKilled(second)
  expect(await fetchRest(broken)).toEqual([tar.length])
  await expectWhole(broken)
})

test('a part is removed when its link is over, and a whole download that was kept aside is not', async () => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  const aside = join(broken.to, `other.${broken.id}.part`)
  await mkdir(join(aside, 'files'), { recursive: true })
  await fetch(`${broken.server.url}/${broken.id}`, { method: 'DELETE' })
  expect((await failure(fetchRest(broken))).code).toBe('gone')
  expect(await readdir(broken.to)).toEqual([`other.${broken.id}.part`])
})

test('a part is kept when the server is away, and the message says how to go on', async () => {
  const broken = await brokenOff()
  await leave(broken, MIB)
  const network = await startTcpProxy(broken.server.port)
  await network.close()
  const error = await failure(fetchRest(broken, { server: `http://127.0.0.1:${network.port}` }))
  expect(error.code).toBe('server-unreachable')
  expect(error.message).toContain(
    `What came so far is in ${broken.part}. To go on, type the same command again soon.`,
  )
  expect(await fetchRest(broken)).toEqual([MIB])
})

test('Ctrl-C leaves nothing behind', async () => {
  const server = await startServerHere()
  const from = await photos()
  const { sending, url } = await sent(server, from)
  const slow = await startTcpProxy(server.port)
  onTestFinished(() => slow.close())
  await slow.strike({ kind: 'throttle', bytesPerSecond: MIB })
  const cwd = await tempDir()
  const receiver = await runEss(
    undefined,
    ['get', url.replace(`:${server.port}/`, `:${slow.port}/`), '-o', '.'],
    { cwd },
  )
  // Before its first file, the link may not be used yet.
  await until('a file is unpacked', async () => {
    const [part = ''] = await readdir(cwd)
    return await stat(join(cwd, part, 'files/photos/a')).catch(() => undefined)
  })
  receiver.kill('SIGINT')
  expect((await receiver.ended()).code).toBe(EXIT_STATUS.interrupted)
  expect(await readdir(cwd)).toEqual([])
  await expect(within(DEADLINE_MS, 'the verdict', sending.verdict)).rejects.toMatchObject({
    code: 'receiver-lost',
  })
})
