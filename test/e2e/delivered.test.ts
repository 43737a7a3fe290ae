import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { formatBytes } from '../../shared/index.js'
import { sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { needs } from '../helpers/needs.js'
import {
  connectReceiver,
  eventsOf,
  expectDelivered,
  expectReceived,
  PAIRS,
  type Source,
  startReceiver,
  startSender,
} from '../helpers/peers.js'
import { runCurl } from '../helpers/run-curl.js'
import { runEss } from '../helpers/run-ess.js'
import { startServerHere } from '../helpers/start-server-here.js'

const LARGE = 300_000_000
const SIZES = [0, 1, 65_535, 65_536, 65_537]
/** A large transfer on a busy machine of two cores. */
const LARGE_MS = 50_000

interface TestFile {
  readonly path: string
  readonly size: number
  readonly sha256: string
}

let folder = ''
const files = new Map<number, TestFile>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ess-test-'))
  for (const size of [...SIZES, LARGE]) {
    const path = join(folder, `${size}.bin`)
    files.set(size, { path, size, sha256: await writeFileOf(path, size) })
  }
})

afterAll(() => rm(folder, { recursive: true, force: true }))

beforeEach((context) => needs(context, 'curl'))

function fileOf(size: number): TestFile {
  const file = files.get(size)
  if (file === undefined) throw new Error(`No file of ${size} bytes was made`)
  return file
}

const LENGTHS = ['known', 'unknown'] as const

function sourceOf(file: TestFile, length: (typeof LENGTHS)[number]): Source {
  return length === 'known' ? { file: file.path } : { pipe: file.path }
}

describe.each(PAIRS)('from $sender to $receiver', ({ sender: senderTool, receiver: receiverTool }) => {
  test.each(LENGTHS)('small files of %s length arrive whole', async (length) => {
    const server = await startServerHere()
    for (const size of SIZES) {
      const file = fileOf(size)
      const sender = await startSender(senderTool, server, sourceOf(file, length))
      const receiver = await startReceiver(receiverTool, sender.url)
      await expectReceived(receiver)
      await expectDelivered(sender, size)
      expect(await sha256OfFile(receiver.path), `the hash of ${size} bytes`).toBe(file.sha256)
    }
  })
})

test.each([
  { sender: 'curl', receiver: 'curl', length: 'known' },
  { sender: 'curl', receiver: 'ess', length: 'unknown' },
  { sender: 'ess', receiver: 'curl', length: 'unknown' },
  { sender: 'ess', receiver: 'ess', length: 'known' },
] as const)(
  '300 MB of $length length from $sender to $receiver arrive whole',
  async ({ sender: senderTool, receiver: receiverTool, length }) => {
    const file = fileOf(LARGE)
    const server = await startServerHere()
    const sender = await startSender(senderTool, server, sourceOf(file, length))
    const receiver = await startReceiver(receiverTool, sender.url)
    await expectReceived(receiver, LARGE_MS)
    await expectDelivered(sender, LARGE)
    expect(await sha256OfFile(receiver.path)).toBe(file.sha256)
  },
)

test.each([
  { form: 'POST with a known length', args: ['--data-binary', '@FILE'] },
  { form: 'POST with an unknown length', args: ['-X', 'POST', '-T', '-'] },
  { form: 'PUT with an unknown length', args: ['-T', '-'] },
  { form: 'PUT with a known length', args: ['-T', 'FILE'] },
])('curl reads the whole story as text: $form', async ({ args }) => {
  const file = fileOf(65_537)
  const server = await startServerHere()
  const curlArgs = args.map((arg) => arg.replace('FILE', file.path))
  const sender = await runCurl([...curlArgs, `${server.url}/`], { stdin: { file: file.path } })
  const [url] = await sender.untilStdout(/^http\S+(?=\n# waiting)/)
  const receiver = await startReceiver('curl', url)
  await expectReceived(receiver)
  const { code, stdout } = await sender.ended()
  const lines = stdout.toString().split('\n')
  expect(lines.slice(0, 3)).toEqual([
    url,
    '# waiting for a receiver; the link works once, for 10 min',
    '# receiver connected',
  ])
  expect(lines.slice(-2)).toEqual(['# delivered: 65537 bytes', ''])
  for (const line of lines.slice(1, -1)) expect(line).toMatch(/^# /)
  expect(code).toBe(0)
  expect(await sha256OfFile(receiver.path)).toBe(file.sha256)
})

test('the status stream tells the story in order, with honest progress', async () => {
  const file = fileOf(LARGE)
  const server = await startServerHere()
  const sender = await startSender('curl', server, { file: file.path })
  await expectReceived(await connectReceiver('curl', sender), LARGE_MS)
  const { stdout } = await sender.ended()
  const [opened, ...others] = eventsOf(stdout)
  expect(opened).toMatchObject({ event: 'opened', v: 1, url: sender.url, ttl: 600 })
  expect(others[0]).toEqual({ event: 'connected' })
  expect(others.at(-1)).toEqual({ event: 'delivered', bytes: LARGE, confirmed: true })
  const progress = others.slice(1, -1)
  expect(progress.length, `progress of ${formatBytes(LARGE)}`).toBeGreaterThan(0)
  let last = 0
  for (const event of progress) {
    expect(event).toEqual({ event: 'progress', bytes: expect.any(Number), total: LARGE })
    const bytes = event.event === 'progress' ? event.bytes : -1
    expect(bytes).toBeGreaterThanOrEqual(last)
    expect(bytes).toBeLessThanOrEqual(LARGE)
    last = bytes
  }
})

test('`ess send` prints the URL and nothing else on stdout, and `ess get` the bytes and nothing else', async () => {
  const file = fileOf(65_537)
  const server = await startServerHere()
  const sender = await runEss(server.url, ['send', file.path])
  const [, url = ''] = await sender.untilStdout(/^(http\S+)\n/)
  expect(url).toMatch(new RegExp(`^${server.url}/[A-Za-z0-9_-]{12,15}/${basename(file.path)}$`))
  const id = url.split('/')[3] ?? ''
  const receiver = await runEss(server.url, ['get', id, '-o', '-'])
  const received = await receiver.ended()
  expect(received.code).toBe(0)
  expect(received.stdout.length).toBe(file.size)
  const sent = await sender.ended()
  expect(sent.code).toBe(0)
  expect(sent.stdout.toString()).toBe(`${url}\n`)
})

test('`ess` reads not a byte before a receiver is there', async () => {
  const server = await startServerHere()
  const sender = await startSender('ess', server, 'held')
  // More than every pipe and stream on the way holds, so that a byte read would be seen here.
  let drained = false
  sender.stdin.once('drain', () => {
    drained = true
  })
  sender.stdin.write(Buffer.alloc(4 * 1024 * 1024))
  const before = sender.stdin.writableLength
  const head = await runCurl(['-I', sender.url])
  expect((await head.ended()).code).toBe(0)
  expect({ drained, waiting: sender.stdin.writableLength }).toEqual({ drained: false, waiting: before })
  const receiver = await connectReceiver('ess', sender)
  sender.stdin.end()
  await expectReceived(receiver)
  await expectDelivered(sender, 4 * 1024 * 1024)
})
