import { type AddressInfo, connect, createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MemoryStore } from '../../../server/locator/memory.js'
import { bytesOf, sha256 } from '../../helpers/bytes.js'
import { certificate } from '../../helpers/certificate.js'
import { exchange, parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw, speakTls } from '../../helpers/raw-peer.js'
import { joinEnds } from '../../helpers/recording-proxy.js'
import { startTcpProxy, type TcpProxy } from '../../helpers/tcp-proxy.js'
import { until } from '../../helpers/within.js'
import {
  bodyOf,
  chunk,
  eventsOf,
  LAST_CHUNK,
  openReceiver,
  openSender,
  type Served,
  serveNodes,
  untilEnded,
} from '../serve.js'
import {
  expectMoved,
  FILE,
  GOES_BACK,
  goOn,
  LENGTH,
  LONG_DRAIN_MS,
  reopen,
  three,
  uploadOf,
  whole,
} from './moving.js'

/*
 * What is particular to links inside TLS. `carry.test.ts` has one way of its clients over them, and `several` all.
 */

type Options = Parameters<typeof serveNodes>[1]
type Setup = NonNullable<Parameters<typeof serveNodes>[2]>

/** Two nodes, of which the first one gets the senders, and whose links go through what `put` puts between them. */
async function two(
  put: (port: number) => Promise<number>,
  options: Options = {},
  setup: Setup = {},
): Promise<readonly [Served, Served]> {
  const store = new MemoryStore()
  const [home, other] = await serveNodes(2, options, {
    wantsTls: () => true,
    locate: async ({ node, address }) => {
      const port = await put(Number(address.split(':').at(-1)))
      return store.join({ node, address: `127.0.0.1:${port}` })
    },
    ...setup,
  })
  if (home === undefined || other === undefined) throw new Error('Expected two nodes')
  return [home, other]
}

/** The same, with a proxy in front of the first one. */
async function twoWithProxy(...[options, setup]: [Options?, Setup?]) {
  const proxies: TcpProxy[] = []
  const nodes = await two(
    async (port) => {
      const proxy = await startTcpProxy(port)
      onTestFinished(() => proxy.close())
      proxies.push(proxy)
      return proxy.port
    },
    options,
    setup,
  )
  return {
    home: nodes[0],
    other: nodes[1],
    strike: async (kind: 'flip' | 'fin' | 'rst') => {
      await Promise.all(proxies.map((proxy) => proxy.strike({ kind })))
    },
  }
}

/** Clients by HTTP/2 on both nodes. */
async function byHttp2(): Promise<Setup> {
  const { path, keyPath } = await certificate()
  return { tls: { certFile: path, keyFile: keyPath } }
}

describe('by HTTP/2, at the wrong node', () => {
  test.each([
    ['of known length', (length: number) => ({ length }), (body: string) => body],
    ['in chunks', () => ({}), (body: string) => chunk(body) + LAST_CHUNK],
  ])('a file %s arrives with each byte in its place', async (_what, framing, framed) => {
    const { home, other } = await twoWithProxy({}, await byHttp2())
    for (const { port } of [home, other]) speakTls(port, 'h2')
    const body = bytesOf(3_000_000)
    const sender = await openSender(home.port, framing(body.length))
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.write(framed(body.toString('latin1')))
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    expect(sha256(Buffer.from(parseAnswer(receiver.text()).body, 'latin1'))).toBe(sha256(body))
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
  })

  test.each(['fin', 'rst'] as const)(
    'a link that is cut (%s) is a lost receiver, and cuts it off',
    async (kind) => {
      const { home, other, strike } = await twoWithProxy({}, await byHttp2())
      for (const { port } of [home, other]) speakTls(port, 'h2')
      const sender = await openSender(home.port)
      const receiver = await openReceiver(other.port, `/${sender.id}`)
      await sender.write(chunk('x'.repeat(100_000)))
      await until('it receives', () => receiver.text().length > 50_000)
      await strike(kind)
      expect(await receiver.ending()).toBe('rst')
      expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'receiver-lost' })
    },
  )
})

test.each([
  ['of known length', { length: 1_000_000 }, 'x'.repeat(100_000), 'x'.repeat(900_000)],
  ['in chunks', {}, chunk('x'.repeat(100_000)), chunk('x'.repeat(900_000)) + LAST_CHUNK],
])('a byte that is changed between two nodes cuts the file off: %s', async (_what, framing, first, rest) => {
  const { home, other, strike } = await twoWithProxy()
  const sender = await openSender(home.port, framing)
  const receiver = await openReceiver(other.port, `/${sender.id}`)
  await sender.write(first)
  await until('it receives', () => receiver.text().length > 50_000)
  await strike('flip')
  // It may be cut off before it has sent that.
  sender.write(rest).catch(() => undefined)
  expect(await receiver.ending()).toBe('rst')
  expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'receiver-lost' })
  // What has come through are the bytes that were sent.
  expect((first + rest).startsWith(bodyOf(receiver))).toBe(true)
})

test('the bytes between two nodes hold no file, no link, no token and no name', async () => {
  const parts: Buffer[] = []
  const [home, other] = await two(
    async (port) => {
      const server = createServer({ allowHalfOpen: true }, (caller) => {
        const listener = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
        for (const one of [caller, listener]) one.on('data', (bytes: Buffer) => parts.push(bytes))
        joinEnds(caller, listener)
      })
      onTestFinished(() => void server.close())
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      // It listens on TCP.
      return (server.address() as AddressInfo).port
    },
    { reservations: true },
  )
  const reserved = await exchange(home.port, requestHead('POST /reserve', { Accept: 'application/json' }))
  const { url, upload } = JSON.parse(reserved.body) as { url: string; upload: string }
  const [path, resource] = [new URL(url).pathname, new URL(upload).pathname]
  const sender = await connectRaw(other.port)
  const head = requestHead(`PUT ${resource}`, {
    Authorization: 'Bearer swordfish',
    'Content-Disposition': 'attachment; filename="a-secret-name.txt"',
    'Content-Length': '70000',
  })
  await sender.write(head + 'the words of a file'.padEnd(70_000, '.'))
  const receiver = await openReceiver(other.port, path)
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  await sender.until(/delivered/)
  await untilEnded(home)
  const all = Buffer.concat(parts)
  // Both ways went through here: the upload, and the download.
  expect(all.length).toBeGreaterThan(140_000)
  const read = all.toString('latin1')
  for (const text of [
    path.slice(1, 13),
    resource.slice(9),
    'swordfish',
    'a-secret',
    'the words',
    '......',
    'HTTP/1.1',
    'delivered',
  ])
    expect(read).not.toContain(text)
})

describe.each([
  ['the node of the file', 0],
  ['the node that carries', 1],
])('if only %s wants TLS', (_what, which) => {
  test('both carry for each other, in TLS', async () => {
    const { home, other } = await twoWithProxy({}, { wantsTls: (index) => index === which })
    for (const [from, to] of [
      [home, other],
      [other, home],
    ] as const) {
      const sender = await openSender(from.port, { length: 5 })
      const receiver = await openReceiver(to.port, `/${sender.id}`)
      await sender.write('hello')
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      expect(parseAnswer(receiver.text()).body).toBe('hello')
      expect((await untilEnded(from)).at(-1)).toMatchObject({ outcome: 'delivered', confirmed: true })
    }
  })
})

test('a client of a node is one of plain HTTP or of TLS, whatever is between the nodes', async () => {
  const seen: unknown[] = []
  const { home, other } = await twoWithProxy({
    authorize: (access, { socket }) => {
      if (access === 'receive') seen.push('encrypted' in socket && socket.encrypted)
      return true
    },
  })
  const sender = await openSender(home.port, { length: 5 })
  await exchange(other.port, requestHead(`HEAD /${sender.id}`))
  expect(seen).toEqual([false, false])
})

test('a sender goes on at another node', async () => {
  const { a, b, c } = await three({}, { wantsTls: () => true })
  const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
  void a.broker.stop(LONG_DRAIN_MS)
  await expectMoved(sender)
  const upload = await reopen(b.port, uploadOf(sender), sender.id, LENGTH)
  const receiver = await openReceiver(c.port, `/${sender.id}`)
  const second = await goOn(c.port, upload, 0)
  expect(await whole(receiver)).toMatchObject({ status: 200, body: FILE })
  await second.until(/^HTTP\/1\.1 200 /)
  expect(eventsOf(sender).at(-1)).toMatchObject({ event: 'moved' })
})
