import { once } from 'node:events'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createService, listen, type ServiceOptions } from '../../server/index.js'
import { listenAdmin } from '../../server/ops/admin.js'
import { certificate } from '../helpers/certificate.js'
import { connectFrames, FLAG, type FramePeer, frame, request, TYPE, word } from '../helpers/http2-frames.js'
import { needs } from '../helpers/needs.js'
import { connectRaw, speakTls } from '../helpers/raw-peer.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'
import { chunk, expectSenderFailed, LAST_CHUNK, openReceiver, openSender, serve } from './serve.js'

/** Seconds; the limit for an answer is as long, and 30 s at most. */
const stallTimeout = 0.4

/** SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113, 6.5.2): nothing of any body may be sent. */
const SHUT = Buffer.concat([Buffer.of(0, 4), word(0)])

async function serveTls(options: ServiceOptions = {}): Promise<number> {
  const { path, keyPath } = await certificate()
  const server = await listen(createService(options), {
    port: 0,
    tls: { certFile: path, keyFile: keyPath },
    maxConnectionsPerClient: 0,
  })
  onTestFinished(() => within(DEADLINE_MS, 'the server stops', server.stopNow()))
  return server.port
}

/** Asks for a page on `count` streams, the first of them that numbered. */
async function askForPages(peer: FramePeer, count: number, first = 1): Promise<void> {
  const pages = Array.from({ length: count }, (_none, at) => request(first + 2 * at, 'GET', '/'))
  await peer.send(Buffer.concat(pages))
}

async function untilReset(peer: FramePeer, count: number): Promise<void> {
  await until(`${count} streams are reset`, () => peer.got(TYPE.reset).length >= count)
}

const openWindow = (stream: number) => frame(TYPE.windowUpdate, 0, stream, word(1_000_000))

/** What has come of the body of a stream. */
function bodyOf(peer: FramePeer, stream: number): string {
  const pieces = peer.got(TYPE.data).filter((one) => one.stream === stream)
  return Buffer.concat(pieces.map(({ payload }) => payload)).toString()
}

describe('over HTTP/2, by a peer whose window is shut,', () => {
  beforeEach((context) => needs(context, 'openssl'))

  test('answers are given up when their time is over, and the connection with them', async () => {
    const peer = await connectFrames(await serveTls({ stallTimeout }), SHUT)
    await askForPages(peer, 100)
    await untilReset(peer, 100)
    expect((await peer.untilGot(TYPE.goaway)).payload.readUInt32BE(4)).toBe(0)
    expect(peer.got(TYPE.data)).toEqual([])
    await until('the server ends the connection', peer.isOver)
  })

  test('the oldest answers are given up where they are more than 1,024 in all', async () => {
    const port = await serveTls({ stallTimeout: 0 })
    const peers = await Promise.all(Array.from({ length: 11 }, () => connectFrames(port, SHUT)))
    for (const peer of peers) {
      await askForPages(peer, 100)
      await until('all are answered', () => peer.got(TYPE.headers).length === 100)
    }
    const [oldest] = peers
    if (oldest === undefined) throw new Error('there is no peer')
    await untilReset(oldest, 1100 - 1024)
    await oldest.untilGot(TYPE.goaway)
    expect(peers.map((peer) => peer.got(TYPE.reset).length)).toEqual([76, ...new Array(10).fill(0)])
  })

  test('a sender may leave its status unread as long as it waits, beside answers that are given up', async () => {
    const port = await serveTls({ stallTimeout })
    const peer = await connectFrames(port, SHUT)
    await peer.send(request(1, 'POST', '/', FLAG.none))
    await peer.untilGot(TYPE.headers, 1)
    await askForPages(peer, 3, 3)
    await untilReset(peer, 3)
    await peer.untilGot(TYPE.goaway)
    expect(peer.got(TYPE.reset).some(({ stream }) => stream === 1)).toBe(false)
    await peer.send(openWindow(1))
    const link = await until('the link is read', () => /https:\S+\/(\S+)\n/.exec(bodyOf(peer, 1)))
    speakTls(port)
    const receiver = await openReceiver(port, `/${link?.[1]}`)
    await until('the sender reads of its receiver', () => bodyOf(peer, 1).includes('connected'))
    await peer.send(frame(TYPE.data, FLAG.endStream, 1, Buffer.from('a file')))
    await receiver.until(/a file/)
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    await until('the sender reads its verdict', () => bodyOf(peer, 1).includes('delivered'))
  })

  test.each([
    ['all of a short file', { length: 1000 }, 'x'.repeat(1000), 0],
    ['the end of a short file', { length: 1000 }, 'x'.repeat(1000), 500],
    ['a short file in chunks', {}, chunk('x'.repeat(1000)) + LAST_CHUNK, 0],
    ['the end of such a file', {}, chunk('x'.repeat(1000)) + LAST_CHUNK, 500],
    ['what came of a file that has no end yet', {}, chunk('x'.repeat(1000)), 0],
    ['the last byte of a file', { length: 5 }, 'hello', 4],
  ])('%s is left by the receiver, and the sender is not blamed', async (_what, upload, body, window) => {
    const port = await serveTls({ stallTimeout })
    speakTls(port)
    const sender = await openSender(port, upload)
    const peer = await connectFrames(port, Buffer.concat([Buffer.of(0, 4), word(window)]))
    await peer.send(request(1, 'GET', `/${sender.id}`))
    await sender.until(/"event":"connected"/)
    await sender.write(body)
    await expectSenderFailed(sender, 'stalled', /^The receiver took nothing for /)
    expect((await peer.untilGot(TYPE.reset, 1)).payload.readUInt32BE()).not.toBe(0)
  })

  test('a sender that stops is blamed, where the receiver took what came', async () => {
    const port = await serveTls({ stallTimeout })
    speakTls(port)
    const sender = await openSender(port, { length: 10 })
    const peer = await connectFrames(port, Buffer.concat([Buffer.of(0, 4), word(500)]))
    await peer.send(request(1, 'GET', `/${sender.id}`))
    await sender.until(/"event":"connected"/)
    await sender.write('hello')
    await expectSenderFailed(sender, 'stalled', /^The sender sent nothing for /)
  })

  test('a receiver that takes a little now and then is not hurt', async () => {
    const port = await serveTls({ stallTimeout })
    speakTls(port)
    const sender = await openSender(port, { length: 1_000_000 })
    const peer = await connectFrames(port, SHUT)
    await peer.send(request(1, 'GET', `/${sender.id}`))
    await sender.until(/"event":"connected"/)
    const sent = sender.write('x'.repeat(1_000_000))
    const more = word(64 * 1024)
    let acknowledged = 0
    const drip = setInterval(() => {
      const updates = [0, 1].map((stream) => frame(TYPE.windowUpdate, 0, stream, more))
      // Before the end the server asks whether the rest has come.
      const acks = peer.got(TYPE.ping).slice(acknowledged)
      acknowledged += acks.length
      void peer.send(
        Buffer.concat([...updates, ...acks.map(({ payload }) => frame(TYPE.ping, FLAG.ack, 0, payload))]),
      )
    }, 100)
    onTestFinished(() => clearInterval(drip))
    await until('the receiver has it all', () => bodyOf(peer, 1).length === 1_000_000)
    await sent
    await sender.until(/"event":"delivered"/)
  })
})

/** Connections of this process, both ends of each. */
function connections(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
}

describe('over HTTP/1.1', () => {
  test('a client that asks again and again, and reads nothing, is closed when its time is over', async () => {
    const { port, service } = await serve({ stallTimeout })
    const peer = await connectRaw(port, { paused: true })
    const target = `/Ab3_-fGhIj4k?wait=${'x'.repeat(12_000)}`
    const ask = async () => {
      const refused = once(service, 'request:refused')
      await peer.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      await refused
      return 'refused'
    }
    await ask()
    const held = connections()
    const closed = until('the server has closed it', () => connections() < held)
    // Each is refused with what it has asked for, until the kernel takes no more of that: the next one waits for its turn.
    while ((await Promise.race([ask(), closed])) === 'refused');
    await closed
  })

  test.each([
    [32, 33],
    [33, 0],
  ])('%i requests behind an unanswered one get %i answers', async (behind, answers) => {
    const { port } = await serve()
    const peer = await connectRaw(port)
    await peer.write('GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(behind + 1))
    const count = () => peer.text().split('HTTP/1.1 200').length - 1
    if (answers > 0) await until('all are answered', () => count() === answers)
    else expect(await peer.ending()).toMatch(/^(?:fin|rst)$/)
    expect(count()).toBe(answers)
  })
})

test('the admin listener closes a client that reads nothing of its metrics', async () => {
  const { broker } = await serve()
  const admin = await listenAdmin(broker, { host: '127.0.0.1', port: 0 }, undefined, undefined, 300)
  onTestFinished(() => within(DEADLINE_MS, 'the admin listener closes', admin.close()))
  const peer = await connectRaw(Number(new URL(admin.url).port), { paused: true })
  await peer.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(800))
  const held = connections()
  await until('it is closed', () => connections() < held)
})
