import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { Line } from '../../../server/http2/line.js'
import type { Locator } from '../../../server/locator/locator.js'
import { MemoryStore } from '../../../server/locator/memory.js'
import { LAST_WORDS } from '../../../server/node/last-word.js'
import { withResolvers } from '../../../server/node/with-resolvers.js'
import { createSplicer } from '../../../server/relay/splice/splicer.js'
import { closedDownloadPath, closedUploadPath } from '../../../shared/routes.js'
import { startBalancer } from '../../helpers/balancer.js'
import { bytesOf, sha256 } from '../../helpers/bytes.js'
import { certificate } from '../../helpers/certificate.js'
import { exchange, parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { IS_CLUSTER_TLS } from '../../helpers/other-node.js'
import { connectRaw, speakTls } from '../../helpers/raw-peer.js'
import { startTcpProxy, type TcpProxy } from '../../helpers/tcp-proxy.js'
import { setTimings } from '../../helpers/timings.js'
import { BROWSER } from '../../helpers/visitors.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'
import {
  chunk,
  eventsOf,
  LAST_CHUNK,
  openReceiver,
  openSender,
  type Served,
  serveNodes,
  untilEnded,
} from '../serve.js'

/** What is spoken: by clients, and between the nodes, if it isn't what the run says. */
interface Speech {
  readonly speech: 'plain' | 'http/1.1' | 'h2'
  readonly links?: 'TLS'
}

/** The parameters of a function, but for the first. */
type Tail<Of extends (first: Speech, ...more: never[]) => unknown> =
  Parameters<Of> extends [unknown, ...infer More] ? More : never

/** Two nodes, of which the first one gets the senders, and the second one the receivers. */
async function twoNodes(
  { speech, links }: Speech,
  options: Parameters<typeof serveNodes>[1] = {},
  locate?: NonNullable<Parameters<typeof serveNodes>[2]>['locate'],
): Promise<readonly [Served, Served]> {
  const pair = speech === 'plain' ? undefined : await certificate()
  const tls = pair && { certFile: pair.path, keyFile: pair.keyPath }
  const [a, b] = await serveNodes(2, options, {
    ...(tls && { tls }),
    ...(locate && { locate }),
    ...(links && { wantsTls: () => true }),
  })
  if (a === undefined || b === undefined) throw new Error('Expected two nodes')
  if (speech !== 'plain') for (const { port } of [a, b]) speakTls(port, speech)
  return [a, b]
}

/** The same, and what links to the first one go through. */
async function twoNodesWithProxy(
  speech: Speech,
  options: Parameters<typeof serveNodes>[1] = {},
  change?: (locator: Locator) => void,
): Promise<readonly [Served, Served, TcpProxy]> {
  const store = new MemoryStore()
  const proxies = new Map<string, TcpProxy>()
  const nodes = await twoNodes(speech, options, async ({ node, address }) => {
    const proxy = await startTcpProxy(Number(address.split(':').at(-1)))
    onTestFinished(() => proxy.close())
    proxies.set(node, proxy)
    const locator = store.join({ node, address: `127.0.0.1:${proxy.port}` })
    change?.(locator)
    return locator
  })
  const proxy = proxies.get('node-0')
  if (proxy === undefined) throw new Error('Expected a proxy before the first node')
  return [...nodes, proxy]
}

/** How many connections this process has open, at either end. */
function connections(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
}

/** A reservation: the paths of its link and of its upload resource. */
async function reserve(port: number): Promise<{ readonly path: string; readonly upload: string }> {
  const answer = await exchange(port, requestHead('POST /reserve', { Accept: 'application/json' }))
  const { url, upload } = JSON.parse(answer.body) as { url: string; upload: string }
  return { path: new URL(url).pathname, upload: new URL(upload).pathname }
}

/** What clients speak, and nodes. A run of its own has TLS between the nodes for all (`several`). */
const WAYS = [
  { speech: 'plain' },
  { speech: 'http/1.1' },
  { speech: 'h2' },
  { speech: 'plain', links: 'TLS' },
] as const satisfies readonly Speech[]

describe.each(WAYS)('at the wrong node (%o)', (way) => {
  const { speech } = way
  const two = (...more: Tail<typeof twoNodes>) => twoNodes(way, ...more)
  const twoWithProxy = (...more: Tail<typeof twoNodesWithProxy>) => twoNodesWithProxy(way, ...more)

  test.each([0, 1, 20_000, 3_000_000])(
    'a receiver gets all %i bytes, and its sender is told so',
    async (length) => {
      const [home, other] = await two()
      const sender = await openSender(home.port, { length })
      const receiver = await openReceiver(other.port, `/${sender.id}`)
      await sender.until(/"connected"/)
      const body = Buffer.alloc(length, 'x')
      await sender.write(body)
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      const answer = parseAnswer(receiver.text())
      expect(answer.status).toBe(200)
      expect(answer.body.length).toBe(length)
      const [end] = await untilEnded(home)
      expect(end).toMatchObject({ outcome: 'delivered', confirmed: true, bytes: length })
      await sender.until(/"event":"(?:delivered|failed)"/)
      expect(eventsOf(sender).at(-1)).toMatchObject({ event: 'delivered', confirmed: true })
      expect(other.opened).toEqual([])
    },
  )

  test('a receiver that pauses gets each byte in its place', async () => {
    const [home, other] = await two()
    // More than the kernel holds of four connections, so some of it waits in a buffer.
    const body = bytesOf(16_000_000)
    const sender = await openSender(home.port, { length: body.length })
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.write(body.subarray(0, 1000))
    await receiver.until(/\r\n\r\n/)
    receiver.pause()
    const written = sender.write(body.subarray(1000))
    await sender.until(/"progress".*\n[\s\S]*"progress"/)
    receiver.resume()
    await written
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    const got = Buffer.from(parseAnswer(receiver.text()).body, 'latin1')
    expect(sha256(got)).toBe(sha256(body))
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
  })

  test.each([
    ['of known length', (length: number) => ({ 'Content-Length': String(length) }), (body: string) => body],
    ['in chunks', () => ({ 'Transfer-Encoding': 'chunked' }), (body: string) => chunk(body) + LAST_CHUNK],
  ])('an upload %s reaches its reservation with each byte in its place', async (_what, framing, framed) => {
    const [home, other] = await two({ reservations: true })
    const { path, upload } = await reserve(home.port)
    const body = bytesOf(3_000_000)
    const sender = await connectRaw(other.port)
    await sender.write(requestHead(`PUT ${upload}`, framing(body.length)))
    const receiver = await openReceiver(home.port, path)
    await sender.write(framed(body.toString('latin1')))
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    const got = Buffer.from(parseAnswer(receiver.text()).body, 'latin1')
    expect(sha256(got)).toBe(sha256(body))
    await sender.until(/^HTTP\/1\.1 200 [\s\S]*delivered/)
  })

  test('a reset receiver is lost', async () => {
    const [home, other] = await two()
    const sender = await openSender(home.port, { length: 1_000_000 })
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.write(Buffer.alloc(1000))
    await receiver.until(/\r\n\r\n/)
    receiver.reset()
    const [end] = await untilEnded(home)
    expect(end).toMatchObject({ outcome: 'receiver-lost' })
  })

  test('a receiver that is silent behind the last byte has confirmed nothing, and leaves no connection', async () => {
    // By HTTP/2 it is asked after a second.
    setTimings({ confirmMs: speech === 'h2' ? 1500 : 200, lastWordsMs: 100 })
    const [home, other] = await two()
    const proxy = await startTcpProxy(other.port)
    onTestFinished(() => proxy.close())
    if (speech !== 'plain') speakTls(proxy.port, speech)
    const sender = await openSender(home.port, { length: 20_000 })
    const receiver = await openReceiver(proxy.port, `/${sender.id}`)
    await sender.until(/"connected"/)
    await sender.write(Buffer.alloc(20_000))
    expect(await receiver.ending()).toBe('fin')
    await proxy.strike({ kind: 'black-hole' })
    expect(await untilEnded(home)).toMatchObject([{ outcome: 'delivered', confirmed: false, bytes: 20_000 }])
    expect(await sender.ending()).toBe('fin')
    sender.end()
    receiver.reset()
    await proxy.close()
    await until('no connection is left', () => connections() === 0)
  })

  test('a lost sender resets the receiver', async () => {
    const [home, other] = await two()
    const sender = await openSender(home.port, { length: 1_000_000 })
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.write(Buffer.alloc(1000))
    await receiver.until(/\r\n\r\n/)
    sender.reset()
    const [end] = await untilEnded(home)
    expect(end).toMatchObject({ outcome: 'sender-lost' })
    expect(await receiver.ending()).toBe('rst')
  })

  test.each([
    ['of known length', { length: 16_000_000 }, 'x'.repeat(4_000_000)],
    ['in chunks', {}, chunk('x'.repeat(100_000))],
  ])(
    'a link that ends in good order before its file resets the receiver: %s',
    async (_what, framing, body) => {
      const [home, other, proxy] = await twoWithProxy()
      const sender = await openSender(home.port, framing)
      const receiver = await openReceiver(other.port, `/${sender.id}`)
      await sender.until(/"connected"/)
      await sender.write(body)
      await until('the receiver has most of it', () => receiver.text().length > body.length / 2)
      await proxy.strike({ kind: 'fin' })
      expect(await receiver.ending()).toBe('rst')
      expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'receiver-lost' })
    },
  )

  test('a link that ends in good order behind its file is not the word of its receiver', async () => {
    const [home, other, proxy] = await twoWithProxy()
    const sender = await openSender(home.port, { length: 5 })
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.write('hello')
    // It has the file, and has not closed its half: the node that carries waits for that, and is killed.
    await receiver.until(/hello$/)
    await proxy.strike({ kind: 'fin' })
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'receiver-lost' })
    expect(eventsOf(sender)).not.toContainEqual(expect.objectContaining({ event: 'delivered' }))
  })

  test('a link that ends in good order before its answer gives a sender and a follower no whole one', async () => {
    const [home, other, proxy] = await twoWithProxy({ reservations: true })
    const { upload } = await reserve(home.port)
    const follower = await connectRaw(other.port)
    await follower.write(requestHead(`GET ${upload}/events`, { Accept: 'application/x-ndjson' }))
    await follower.until(/"event":"(?:opened|reserved)"/)
    const sender = await connectRaw(other.port)
    await sender.write(`${requestHead(`PUT ${upload}`, { 'Content-Length': '5' })}hello`)
    await follower.until(/"event":"waiting"/)
    await proxy.strike({ kind: 'fin' })
    await sender.ending()
    expect(sender.text()).toBe('')
    await follower.ending()
    expect(follower.text()).not.toContain(`\r\n${LAST_CHUNK}`)
  })

  test('an early receiver is served as soon as its sender comes to another node', async () => {
    const [home, other] = await two({ reservations: true })
    const { path, upload } = await reserve(home.port)
    const receiver = await openReceiver(other.port, path)
    await until('it waits at home', () => home.broker.counts().held > 1)
    const sender = await connectRaw(other.port)
    await sender.write(`${requestHead(`PUT ${upload}`, { 'Content-Length': '5' })}hello`)
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    expect(parseAnswer(receiver.text())).toMatchObject({ status: 200, body: 'hello' })
    await sender.until(/delivered/)
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
  })

  test('a receiver that waits for an id is served when its sender comes to another node', async () => {
    const id = 'abcdefghijkl'
    const [home, other] = await two({ ids: { pattern: /[a-z]{12}/, generate: () => id } })
    const receiver = await openReceiver(other.port, `/${id}?wait=60`)
    await until('it waits', () => other.broker.counts().awaiting === 1)
    const sender = await openSender(home.port, { length: 5 })
    await sender.write('hello')
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    expect(parseAnswer(receiver.text())).toMatchObject({ status: 200, body: 'hello' })
    await sender.until(/"delivered"/)
    expect(other.broker.counts().awaiting).toBe(0)
  })

  test('a receiver that leaves while it waits uses nothing up', async () => {
    const [home, other] = await two({ reservations: true })
    const { path, upload } = await reserve(home.port)
    // By HTTP/2, `end` waits for the answer.
    for (const end of speech === 'h2' ? (['reset'] as const) : (['end', 'reset'] as const)) {
      const receiver = await openReceiver(other.port, path)
      await until('it waits', () => home.broker.counts().held > 2)
      receiver[end]()
      await until('it has left', () => home.broker.counts().held === 2)
    }
    const sender = await connectRaw(home.port)
    await sender.write(`${requestHead(`PUT ${upload}`, { 'Content-Length': '5' })}hello`)
    expect((await exchange(other.port, requestHead(`GET ${path}`))).body).toBe('hello')
    await sender.until(/delivered/)
  })

  test.each([
    ['of known length', { 'Content-Length': '100000' }, 'x'.repeat(100_000)],
    ['in chunks', { 'Transfer-Encoding': 'chunked' }, `${chunk('x'.repeat(100_000))}${LAST_CHUNK}`],
  ])('an upload %s reaches its reservation, and its events tell of it', async (_what, framing, body) => {
    const [home, other] = await two({ reservations: true })
    const { path, upload } = await reserve(home.port)
    const follower = await connectRaw(other.port)
    await follower.write(requestHead(`GET ${upload}/events`, { Accept: 'application/x-ndjson' }))
    await follower.until(/"event":"(?:opened|reserved)"/)
    const sender = await connectRaw(other.port)
    await sender.write(requestHead(`PUT ${upload}`, framing) + body)
    const receiver = await openReceiver(other.port, path)
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    expect(parseAnswer(receiver.text()).body).toHaveLength(100_000)
    await sender.until(/^HTTP\/1\.1 200 [\s\S]*delivered/)
    await follower.until(/"event":"delivered","bytes":100000,"confirmed":true/)
    expect(await follower.ending()).toBe('fin')
  })

  test('a sender and a receiver go on after a cut', async () => {
    const [home, other] = await two({ reservations: true, resumeWithin: 60 })
    const { path, upload } = await reserve(home.port)
    const file = Buffer.from('0123456789'.repeat(30_000))
    const piece = {
      'Content-Type': 'application/partial-upload',
      'Upload-Complete': '?1',
      'Ess-Resume': 'rewind',
    }
    const sender = await connectRaw(other.port)
    await sender.write(
      requestHead(`PATCH ${upload}`, {
        ...piece,
        'Upload-Offset': '0',
        'Content-Length': String(file.length),
      }),
    )
    await sender.write(file.subarray(0, 100_000))
    const receiver = await openReceiver(other.port, path)
    await until('it receives', () => receiver.text().length > 50_000)
    sender.reset()
    await until('the sender is missed', () => home.service.sockets()[0]?.phase === 'interrupted')
    const head = await exchange(other.port, requestHead(`HEAD ${upload}`))
    const offset = Number(head.headers['upload-offset'])
    expect(offset).toBeGreaterThan(0)
    const again = await connectRaw(other.port)
    await again.write(
      requestHead(`PATCH ${upload}`, {
        ...piece,
        'Upload-Offset': String(offset),
        'Content-Length': String(file.length - offset),
      }),
    )
    await again.write(file.subarray(offset, 200_000))
    await until('it receives more', () => receiver.text().length > 150_000)
    const etag = /^etag: (\S+)/im.exec(receiver.text())?.[1] ?? ''
    receiver.reset()
    await until('the receiver is missed', () => home.service.sockets()[0]?.phase === 'interrupted')
    const received = 120_000
    const back = await connectRaw(other.port)
    await back.write(requestHead(`GET ${path}`, { Range: `bytes=${received}-`, 'If-Range': etag }))
    await again.until(/\[rewound\]/)
    const rewound = await exchange(other.port, requestHead(`HEAD ${upload}`))
    expect(rewound.status).toBe(409)
    const last = await connectRaw(other.port)
    await last.write(
      requestHead(`PATCH ${new URL(String(rewound.headers['location'])).pathname}`, {
        ...piece,
        'Upload-Offset': String(received),
        'Content-Length': String(file.length - received),
      }),
    )
    await last.write(file.subarray(received))
    expect(await back.ending()).toBe('fin')
    back.end()
    const answer = parseAnswer(back.text())
    expect(answer.status).toBe(206)
    expect(answer.body === file.subarray(received).toString()).toBe(true)
    await last.until(/^HTTP\/1\.1 200 /)
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
  })

  test('HEAD and DELETE are answered, by the link and by the upload resource', async () => {
    const [home, other] = await two({ reservations: true })
    const sender = await openSender(home.port, { length: 5, target: 'PUT /name.txt' })
    const head = await exchange(other.port, requestHead(`HEAD /${sender.id}`))
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': '5' } })
    expect((await exchange(other.port, requestHead(`DELETE /${sender.id}`))).status).toBe(204)
    expect(home.ends).toEqual([])
    const { upload } = await reserve(home.port)
    expect((await exchange(other.port, requestHead(`DELETE ${upload}`))).status).toBe(204)
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'cancelled' })
  })

  test('the last word of a page that was closed ends its transfer, on either side', async () => {
    const [home, other] = await two({ reservations: true, web: true })
    const sending = await reserve(home.port)
    const token = sending.upload.split('/').at(-1) ?? ''
    const closed = requestHead(`POST ${closedUploadPath(token)}`, { 'Content-Length': '0' })
    expect((await exchange(other.port, closed)).status).toBe(204)
    expect(await untilEnded(home)).toMatchObject([{ outcome: 'cancelled' }])

    const sender = await openSender(home.port, { length: 10, headers: { 'Ess-Resume': 'rewind' } })
    await openReceiver(home.port, `/${sender.id}`)
    await sender.until(/"connected"/)
    const left = requestHead(`POST ${closedDownloadPath(sender.id)}`, { 'Content-Length': '0' })
    expect((await exchange(other.port, left)).status).toBe(204)
    await until('it has ended', () => home.ends.length === 2)
    expect(home.ends.at(-1)).toMatchObject({ outcome: 'receiver-lost' })
  })

  test("a person's browser gets the link's page", async () => {
    const [home, other] = await two()
    const sender = await openSender(home.port, { length: 5, target: 'PUT /name.txt' })
    const page = await exchange(other.port, requestHead(`GET /${sender.id}`, BROWSER))
    // For a person it is a page; a program that takes it for the file sees an error.
    expect(page.status).toBe(406)
    expect(page.body).toContain('name.txt')
    expect(home.ends).toEqual([])
  })

  test('every guard of the owner sees the client itself', async () => {
    const seen: (string | undefined)[] = []
    const [home, other] = await two({
      authorize: (access, { socket }) => {
        if (access === 'receive') seen.push(socket.remoteAddress)
        return true
      },
    })
    const sender = await openSender(home.port, { length: 5 })
    await exchange(other.port, requestHead(`HEAD /${sender.id}`))
    // At the node that it came to, and at the one that has the file.
    expect(seen).toEqual(['127.0.0.1', '127.0.0.1'])
  })

  test('an unknown id is a 404, one that has ended a 410', async () => {
    const [home, other] = await two()
    expect((await exchange(other.port, requestHead(`GET /${'x'.repeat(22)}`))).status).toBe(404)
    const sender = await openSender(home.port, { length: 5 })
    sender.reset()
    await untilEnded(home)
    expect((await exchange(other.port, requestHead(`GET /${sender.id}`))).status).toBe(410)
    expect(other.refused).toContain('gone')
  })
})

describe('at the wrong node, over HTTP/2', () => {
  test('a receiver that was asked whether it has all, and is cut off, has confirmed nothing, and its sender is told at once', async () => {
    // Longer than this test takes.
    setTimings({ confirmMs: 10 * DEADLINE_MS })
    const question = vi.spyOn(Line.prototype, 'isRead')
    onTestFinished(() => question.mockRestore())
    const [home, other] = await twoNodes({ speech: 'h2' })
    const proxy = await startTcpProxy(other.port)
    onTestFinished(() => proxy.close())
    speakTls(proxy.port, 'h2')
    const sender = await openSender(home.port, { length: 5 })
    const receiver = await openReceiver(proxy.port, `/${sender.id}`)
    await sender.until(/"connected"/)
    await sender.write('hello')
    expect(await receiver.ending()).toBe('fin')
    question.mockClear()
    await proxy.strike({ kind: 'black-hole' })
    await until('it is asked', () => question.mock.calls.length > 0)
    await proxy.strike({ kind: 'rst' })
    expect(await untilEnded(home)).toMatchObject([{ outcome: 'delivered', confirmed: false, bytes: 5 }])
    expect(await sender.ending()).toBe('fin')
  })
})

describe('at the wrong node, over HTTP/1.1', () => {
  test.each([0, 1, 20_000, 300_000])(
    'a receiver that closes its half with its request gets all %i bytes, if they are here',
    async (length) => {
      const [home, other] = await twoNodes({ speech: 'plain' })
      const sender = await openSender(home.port, { length })
      await sender.write(Buffer.alloc(length, 'x'))
      const receiver = await connectRaw(other.port)
      await receiver.write(requestHead(`GET /${sender.id}`))
      receiver.end()
      expect(await receiver.ending()).toBe('fin')
      const answer = parseAnswer(receiver.text())
      expect(answer.status).toBe(200)
      expect(answer.body.length).toBe(length)
      expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
    },
  )

  // In TLS, the word isn't as many bytes.
  test.skipIf(IS_CLUSTER_TLS)(
    "a receiver's word counts, though its sender comes back between that and its end",
    async () => {
      const options = { reservations: true, resumeWithin: 60 }
      const [home, other, proxy] = await twoNodesWithProxy({ speech: 'plain' }, options)
      const { path, upload } = await reserve(home.port)
      const sender = await connectRaw(home.port)
      const fields = { 'Content-Length': '5', 'Ess-Resume': 'rewind' }
      await sender.write(`${requestHead(`PUT ${upload}`, fields)}hello`)
      const receiver = await openReceiver(other.port, path)
      expect(await receiver.ending()).toBe('fin')
      sender.reset()
      const asked = await exchange(home.port, requestHead(`HEAD ${upload}`))
      expect(asked.headers['upload-offset']).toBe('5')
      const said = proxy.arm({ kind: 'black-hole' }, 'up', LAST_WORDS.confirmed.length)
      receiver.end()
      await within(DEADLINE_MS, 'the word has passed', said)
      const again = await connectRaw(home.port)
      await again.write(
        requestHead(`PATCH ${upload}`, {
          'Content-Type': 'application/partial-upload',
          'Content-Length': '0',
          'Upload-Offset': '5',
          'Upload-Complete': '?1',
        }),
      )
      await until('the sender is back', () => home.service.sockets()[0]?.phase === 'streaming')
      await proxy.strike({ kind: 'fin' })
      expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
    },
  )

  test('a link that ends in good order in a chunk that looks like the last one resets the receiver', async () => {
    const [home, other, proxy] = await twoNodesWithProxy({ speech: 'plain' })
    const sender = await openSender(home.port)
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.until(/"connected"/)
    await sender.write(`ff\r\nhello\r\n${LAST_CHUNK}`)
    await receiver.until(/hello\r\n0\r\n\r\n$/)
    await proxy.strike({ kind: 'fin' })
    expect(await receiver.ending()).toBe('rst')
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'receiver-lost' })
  })

  test('a receiver whose TLS breaks is lost', async () => {
    const [home, other] = await twoNodes({ speech: 'http/1.1' })
    const sender = await openSender(home.port, { length: 1_000_000 })
    const carrier = connect(other.port, '127.0.0.1')
    const receiver = connectTls({ socket: carrier, rejectUnauthorized: false }).on('error', () => undefined)
    onTestFinished(() => void receiver.destroy())
    receiver.write(requestHead(`GET /${sender.id}`))
    await sender.until(/"connected"/)
    await sender.write(Buffer.alloc(1000))
    await new Promise((resolve) => receiver.once('data', resolve))
    // A record that nothing of this session has made.
    carrier.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 100]), Buffer.alloc(100)]))
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'receiver-lost' })
  })

  test('a receiver that closes its half with its request, and has left, has lost the file', async () => {
    const [home, other] = await twoNodes({ speech: 'plain' })
    const sender = await openSender(home.port, { length: 300_000 })
    await sender.write(Buffer.alloc(300_000))
    const receiver = connect(other.port, '127.0.0.1')
    receiver.end(requestHead(`GET /${sender.id}`))
    await new Promise((resolve) => receiver.once('finish', resolve))
    receiver.destroy()
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'receiver-lost' })
    expect(eventsOf(sender)).not.toContainEqual(expect.objectContaining({ event: 'delivered' }))
  })

  test.each(['in a body of known length', 'in chunks'])(
    'a receiver behind haproxy that has left midway has lost the file, though its end was in good order (%s)',
    async (framing) => {
      const isChunked = framing === 'in chunks'
      const [home, other] = await twoNodes({ speech: 'plain' })
      const { port } = await startBalancer([other.port])
      const half = Buffer.alloc(10_000, 'x')
      const framed = isChunked ? chunk(half.toString()) : half
      const sender = await openSender(home.port, isChunked ? {} : { length: 2 * half.length })
      const receiver = connect(port, '127.0.0.1')
      let read = 0
      receiver.on('data', (bytes) => {
        read += bytes.length
      })
      receiver.write(requestHead(`GET /${sender.id}`))
      await sender.until(/"connected"/)
      await sender.write(framed)
      await until('it has read the half', () => read >= framed.length)
      // With nothing unread, this is an end in good order, and haproxy makes one of the reset that follows.
      receiver.destroy()
      for (const next of [port, other.port, other.port]) await exchange(next, requestHead('GET /health'))
      await sender.write(framed)
      if (isChunked) await sender.write(LAST_CHUNK)
      expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'receiver-lost' })
    },
  )

  // What goes through TLS is never spliced.
  test.runIf(process.platform === 'linux' && !IS_CLUSTER_TLS)(
    'a receiver that is asked for anew, and confirms before its sender’s node has counted the last byte, has it',
    async () => {
      const [home, other] = await twoNodes({ speech: 'plain' }, { relay: 'splice' })
      const { promise: counted, resolve: count } = withResolvers<void>()
      const splicer = await createSplicer()
      onTestFinished(() => splicer.close())
      // The thread's report of the last byte waits for the processor.
      vi.spyOn(home.broker.relay, 'splicerFor').mockReturnValue({
        ...splicer,
        start: (...job) => {
          const running = splicer.start(...job)
          return { ...running, ended: counted.then(() => running.ended) }
        },
      })
      const file = Buffer.alloc(300_000, 'x')
      const sender = await openSender(home.port, { length: file.length })
      const receiver = await connectRaw(other.port)
      // With a body in chunks its connection can't be carried as it is.
      await receiver.write(requestHead(`GET /${sender.id}`, { 'Transfer-Encoding': 'chunked' }) + LAST_CHUNK)
      await sender.until(/"connected"/)
      await sender.write(file)
      await until('it has the file', () => receiver.text().endsWith(file.toString()))
      receiver.end()
      await receiver.ending()
      for (const { port } of [other, home, home]) await exchange(port, requestHead('GET /health'))
      count()
      expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
    },
  )

  test('a receiver that closes its half with its request does not wait for a sender', async () => {
    const [home, other] = await twoNodes({ speech: 'plain' }, { reservations: true })
    const { path } = await reserve(home.port)
    const receiver = await connectRaw(other.port)
    await receiver.write(requestHead(`GET ${path}`))
    receiver.end()
    await receiver.ending()
    await until('nothing waits', () => home.broker.counts().held === 2)
    expect(home.ends).toEqual([])
  })

  test.each([
    ['closes its half in the middle of a chunk', '5\r\nwor', 'sender-lost', 502],
    ['sends what is no chunk', 'not a chunk\r\n', 'bad-request', 400],
  ] as const)('a sender that %s is told what one node tells', async (_what, bytes, code, status) => {
    for (const isReceiverThere of [false, true]) {
      const [home, other] = await twoNodes({ speech: 'plain' }, { reservations: true })
      const { path, upload } = await reserve(home.port)
      if (isReceiverThere) void (await openReceiver(home.port, path)).ending()
      const sender = await connectRaw(other.port)
      const framing = { 'Transfer-Encoding': 'chunked', Connection: 'keep-alive' }
      await sender.write(requestHead(`PUT ${upload}`, framing))
      await sender.write(`5\r\nhello\r\n${bytes}`)
      if (code === 'sender-lost') sender.end()
      await sender.ending()
      expect(parseAnswer(sender.text())).toMatchObject({
        status,
        body: expect.stringMatching(new RegExp(` \\[${code}\\]\\n$`)),
      })
      expect((await untilEnded(home))[0]).toMatchObject({ outcome: code })
    }
  })
})

test('a link of which nothing can be said is refused at once: no node would tell that it is back', async () => {
  const store = new MemoryStore()
  const [, other] = await twoNodes({ speech: 'plain' }, {}, async (self) => {
    const locator = store.join(self)
    // The store has been asked, and didn't answer in time; that it is in trouble is found a moment later.
    locator.find = async () => 'unknown'
    return locator
  })
  const asked = exchange(other.port, requestHead(`GET /${other.broker.options.ids.generate()}`))
  // A link that is between two nodes is held for 10 s.
  expect(await within(5000, 'it is refused', asked)).toMatchObject({ status: 503 })
})

describe.each([['plain'], ['h2']] as const)('at a node that is frozen (%s)', (speech) => {
  test('what is carried there is broken off when it is missed', async () => {
    setTimings({ missedSilenceMs: 200, missedLookMs: 20 })
    let isMissed = false
    const [home, other, proxy] = await twoNodesWithProxy({ speech }, {}, (locator) => {
      const { state, self } = locator
      Object.defineProperty(locator, 'state', {
        get: () => (isMissed ? { ...state, nodes: state.nodes.filter(({ node }) => node === self) } : state),
      })
    })
    const sender = await openSender(home.port, { length: 20_000 })
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.until(/"connected"/)
    await sender.write(Buffer.alloc(10_000, 'x'))
    await receiver.until(/x{10000}/)
    // A kernel that goes on to acknowledge, below a process that doesn't.
    await proxy.strike({ kind: 'black-hole' })
    isMissed = true
    expect(await receiver.ending()).toBe('rst')
  })

  test('what moves goes on, though its node is missed', async () => {
    setTimings({ missedSilenceMs: 200, missedLookMs: 20 })
    const [home, other] = await twoNodesWithProxy({ speech }, {}, (locator) => {
      const { state, self } = locator
      Object.defineProperty(locator, 'state', {
        get: () => ({ ...state, nodes: state.nodes.filter(({ node }) => node === self) }),
      })
    })
    const sender = await openSender(home.port)
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.until(/"connected"/)
    // Byte by byte, for longer than it may be silent.
    for (const end = performance.now() + 600; performance.now() < end; ) {
      const { length } = receiver.text()
      await sender.write(chunk('x'))
      await until('the byte has come', () => receiver.text().length > length)
    }
    await sender.write(LAST_CHUNK)
    await receiver.ending()
    receiver.end()
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'delivered' })
  })
})
