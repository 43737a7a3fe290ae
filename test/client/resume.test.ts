import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { describe, expect, onTestFinished, test } from 'vitest'
import { download, get, send } from '../../client/index.js'
import type { StatusEvent } from '../../shared/index.js'
import { runEss } from '../helpers/run-ess.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

const RESUMES = ['--resume-within', '20']

/** A file of random bytes. */
async function fileOf(bytes: number): Promise<{ path: string; content: Buffer }> {
  const path = join(await tempDir(), 'file.bin')
  const content = randomBytes(bytes)
  await writeFile(path, content)
  return { path, content }
}

async function proxyTo(port: number): Promise<TcpProxy> {
  const proxy = await startTcpProxy(port)
  onTestFinished(() => proxy.close())
  return proxy
}

const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

const CUTS = [
  { name: 'reset', fault: { kind: 'rst' } },
  { name: 'closed', fault: { kind: 'fin' } },
] as const
const SIZE = 8 * 1024 * 1024

/**
 * A sender of which the server gets no more than the half before it has lost the receiver. A proxy that says in good order
 * that it has read enough, when its kernel has taken the whole file, speaks in the receiver's name: see docs/faults.md.
 */
async function sendingByHalves(path: string, serverPort: number) {
  const proxy = await proxyTo(serverPort)
  const goOn = proxy.hold('up', SIZE / 2)
  const sending = send(path, { server: `http://127.0.0.1:${proxy.port}` })
  let id = ''
  const reading = (async () => {
    for await (const event of sending) {
      if (event.event === 'opened') id = event.id
      // A receiver that is back before the server has missed it is told of by the second alone.
      if (event.event === 'interrupted' || event.event === 'rewind') goOn()
    }
  })()
  await until('the link is there', () => id !== '')
  return { sending, id, reading }
}

describe.each(CUTS)('a connection that is $name midway', ({ fault }) => {
  test('between the sender and the server: the file arrives whole', async () => {
    const server = await startServerHere(...RESUMES)
    const { path, content } = await fileOf(SIZE)
    const proxy = await proxyTo(server.port)
    const sending = send(path, { server: `http://127.0.0.1:${proxy.port}` })
    const events: StatusEvent[] = []
    const reading = (async () => {
      for await (const event of sending) events.push(event)
    })()
    await until('the link is there', () => events.some(({ event }) => event === 'opened'))
    const opened = events.find((event) => event.event === 'opened')
    const struck = proxy.arm(fault, 'up', SIZE / 3)
    const to = join(await tempDir(), 'copy')
    const received = download(opened?.id ?? '', { server: server.url, to: { file: to } })
    await within(DEADLINE_MS, 'the cut', struck)
    await within(DEADLINE_MS, 'the download is whole', received)
    expect(sha(await readFile(to))).toBe(sha(content))
    await within(DEADLINE_MS, 'the verdict', reading)
    expect(await sending.verdict).toEqual({ event: 'delivered', bytes: SIZE, confirmed: true })
    expect(events.map(({ event }) => event)).toEqual(
      expect.arrayContaining(['interrupted', 'resumed', 'delivered']),
    )
  })

  test('between the server and the receiver: the file arrives whole', async () => {
    const server = await startServerHere(...RESUMES)
    const { path, content } = await fileOf(SIZE)
    const { sending, id, reading } = await sendingByHalves(path, server.port)
    const proxy = await proxyTo(server.port)
    const folder = await tempDir()
    const told: string[] = []
    // Not when the offer is there: by then the proxy may have passed half of the file.
    void proxy.arm(fault, 'down', SIZE / 3, true)
    const receiving = download(id, {
      server: `http://127.0.0.1:${proxy.port}`,
      to: { folder },
      onInterrupted: () => told.push('interrupted'),
      onResumed: (bytes) => told.push(bytes > 0 ? 'resumed' : 'begun again'),
    })
    const { bytes, path: copy = '' } = await within(DEADLINE_MS, 'the download is whole', receiving)
    expect(bytes).toBe(SIZE)
    expect(sha(await readFile(copy))).toBe(sha(content))
    expect(told).toEqual(['interrupted', 'resumed'])
    expect(await readdir(folder)).toEqual(['file.bin'])
    await within(DEADLINE_MS, 'the verdict', reading)
    expect(await sending.verdict).toEqual({ event: 'delivered', bytes: SIZE, confirmed: true })
  })
})

test('what is piped in goes on after a cut on either side', async () => {
  const server = await startServerHere(...RESUMES)
  const { path, content } = await fileOf(SIZE)
  const up = await proxyTo(server.port)
  const down = await proxyTo(server.port)
  const sending = send(createReadStream(path), { server: `http://127.0.0.1:${up.port}` })
  const events: StatusEvent[] = []
  const reading = (async () => {
    for await (const event of sending) events.push(event)
  })()
  await until('the link is there', () => events.some(({ event }) => event === 'opened'))
  const opened = events.find((event) => event.event === 'opened')
  void up.arm({ kind: 'rst' }, 'up', SIZE / 4)
  const to = new PassThrough()
  const got: Buffer[] = []
  to.on('data', (chunk: Buffer) => got.push(chunk))
  const struck = down.arm({ kind: 'rst' }, 'down', SIZE / 2, true)
  const received = download(opened?.id ?? '', {
    server: `http://127.0.0.1:${down.port}`,
    to: { stream: to },
  })
  await within(DEADLINE_MS, 'the cut', struck)
  await within(DEADLINE_MS, 'the download is whole', received)
  expect(sha(Buffer.concat(got))).toBe(sha(content))
  await within(DEADLINE_MS, 'the verdict', reading)
  expect(await sending.verdict).toMatchObject({ event: 'delivered', bytes: SIZE })
})

test('a sender that loses its connection while it waits keeps its link', async () => {
  const server = await startServerHere(...RESUMES)
  const { path, content } = await fileOf(1000)
  const proxy = await proxyTo(server.port)
  const sending = send(path, { server: `http://127.0.0.1:${proxy.port}` })
  const events: StatusEvent[] = []
  const reading = (async () => {
    for await (const event of sending) events.push(event)
  })()
  await until('the link is there', () => events.some(({ event }) => event === 'opened'))
  const opened = events.find((event) => event.event === 'opened')
  await proxy.strike({ kind: 'rst' })
  const to = join(await tempDir(), 'copy')
  await within(
    DEADLINE_MS,
    'the download is whole',
    download(opened?.id ?? '', { server: server.url, to: { file: to } }),
  )
  expect(await readFile(to)).toEqual(content)
  await within(DEADLINE_MS, 'the verdict', reading)
})

describe('Ctrl-C', () => {
  async function transfer() {
    const server = await startServerHere(...RESUMES)
    const { path } = await fileOf(64 * 1024 * 1024)
    const sender = await runEss(server.url, ['send', '--json', path])
    const [, id = ''] = await sender.untilStdout(/"id":"([^"]+)"/)
    const proxy = await proxyTo(server.port)
    await proxy.strike({ kind: 'throttle', bytesPerSecond: 4 * 1024 * 1024 })
    const to = join(await tempDir(), 'copy')
    const receiver = await runEss(`http://127.0.0.1:${proxy.port}`, ['get', id, '-o', to])
    // From then on, the receiver has more to say than that the link is gone.
    await until(
      'bytes are here',
      async () => ((await stat(`${to}.${id}.part`).catch(() => undefined))?.size ?? 0) > 0,
    )
    return { sender, receiver }
  }

  test('at the sender tells the receiver at once', async () => {
    const { sender, receiver } = await transfer()
    sender.kill('SIGINT')
    expect((await sender.ended()).code).toBe(130)
    expect(await receiver.ended()).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(
        /^ess: The download broke off after .*\. The sender stopped this transfer\. Nothing was kept\. Ask/,
      ),
    })
  })

  test('at the receiver tells the sender at once', async () => {
    const { sender, receiver } = await transfer()
    receiver.kill('SIGINT')
    expect((await receiver.ended()).code).toBe(130)
    expect((await sender.ended()).code).toBe(5)
  })
})

test('a file that is written to between two connections is not sent on', async () => {
  const server = await startServerHere(...RESUMES)
  const { path } = await fileOf(SIZE)
  const proxy = await proxyTo(server.port)
  const sending = send(path, { server: `http://127.0.0.1:${proxy.port}` })
  const opened = await sending[Symbol.asyncIterator]().next()
  const id = opened.value.event === 'opened' ? opened.value.id : ''
  const struck = proxy.arm({ kind: 'rst' }, 'up', SIZE / 3).then(() => writeFile(path, randomBytes(SIZE)))
  const to = join(await tempDir(), 'copy')
  const received = download(id, { server: server.url, to: { file: to } }).catch((error: unknown) => error)
  await within(DEADLINE_MS, 'the cut', struck)
  await expect(within(DEADLINE_MS, 'the verdict', sending.verdict)).rejects.toMatchObject({
    code: 'file-changed',
  })
  expect(await within(DEADLINE_MS, 'the download fails', received)).toMatchObject({ name: 'EssError' })
})

test('a stream that can be read once keeps its last 16 MiB', async () => {
  const server = await startServerHere(...RESUMES)
  const proxy = await proxyTo(server.port)
  const total = 40 * 1024 * 1024
  const block = randomBytes(1024 * 1024)
  const source = Readable.from(
    (function* () {
      for (let at = 0; at < total; at += block.length) yield Buffer.from(block)
    })(),
  )
  const sending = send(source, { server: `http://127.0.0.1:${proxy.port}` })
  const opened = await sending[Symbol.asyncIterator]().next()
  const id = opened.value.event === 'opened' ? opened.value.id : ''
  void proxy.arm({ kind: 'rst' }, 'up', 30 * 1024 * 1024)
  const to = join(await tempDir(), 'copy')
  const { bytes } = await within(
    60_000,
    'the download is whole',
    download(id, { server: server.url, to: { file: to } }),
  )
  expect(bytes).toBe(total)
  const copy = await readFile(to)
  for (let at = 0; at < total; at += block.length)
    expect(copy.subarray(at, at + block.length).equals(block), `block at ${at}`).toBe(true)
})

test('a connection that is cut again and again before a block is full gets on all the same', async () => {
  const server = await startServerHere(...RESUMES)
  const { path, content } = await fileOf(4 * 1024 * 1024)
  const proxy = await proxyTo(server.port)
  const sending = send(path, { server: server.url })
  const opened = await sending[Symbol.asyncIterator]().next()
  const id = opened.value.event === 'opened' ? opened.value.id : ''
  await proxy.strike({ kind: 'throttle', bytesPerSecond: 4 * 1024 * 1024 })
  const to = join(await tempDir(), 'copy')
  const resumed: number[] = []
  const cutSoon = () => void proxy.arm({ kind: 'rst' }, 'down', 700_000)
  const received = download(id, {
    server: `http://127.0.0.1:${proxy.port}`,
    to: { file: to },
    onOffer: cutSoon,
    onResumed(bytes) {
      resumed.push(bytes)
      if (resumed.length < 4) cutSoon()
    },
  })
  await within(DEADLINE_MS, 'the download is whole', received)
  expect(sha(await readFile(to))).toBe(sha(content))
  expect(resumed.length).toBe(4)
  for (const [at, bytes] of resumed.entries()) expect(bytes).toBeGreaterThan(resumed[at - 1] ?? 0)
  await within(DEADLINE_MS, 'the verdict', sending.verdict)
})

describe('the stream of get()', () => {
  test.each(CUTS)('goes on after a connection that is $name', async ({ fault }) => {
    const server = await startServerHere(...RESUMES)
    const { path, content } = await fileOf(SIZE)
    const { sending, id, reading } = await sendingByHalves(path, server.port)
    const proxy = await proxyTo(server.port)
    void proxy.arm(fault, 'down', SIZE / 3)
    const told: string[] = []
    const stream = await get(id, {
      server: `http://127.0.0.1:${proxy.port}`,
      onInterrupted: () => told.push('interrupted'),
      onResumed: () => told.push('resumed'),
    })
    const got: Buffer[] = []
    for await (const chunk of stream) got.push(chunk as Buffer)
    expect(sha(Buffer.concat(got))).toBe(sha(content))
    expect(told).toEqual(['interrupted', 'resumed'])
    await within(DEADLINE_MS, 'the verdict', reading)
    expect(await sending.verdict).toMatchObject({ event: 'delivered' })
  })

  test('that is destroyed tells the sender at once', async () => {
    const server = await startServerHere(...RESUMES)
    const { path } = await fileOf(SIZE)
    const sending = send(path, { server: server.url })
    sending.verdict.catch(() => {})
    const opened = await sending[Symbol.asyncIterator]().next()
    const id = opened.value.event === 'opened' ? opened.value.id : ''
    const stream = await get(id, { server: server.url })
    await once(stream, 'readable')
    stream.destroy()
    await expect(within(5_000, 'the verdict', sending.verdict)).rejects.toMatchObject({
      code: 'receiver-lost',
    })
  })
})
