import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { Line } from '../../server/http2/line.js'
import { createService, listen, type ServiceOptions, type SocketStats } from '../../server/index.js'
import { StatusDecoder, type StatusEvent } from '../../shared/index.js'
import { bytesOf, sha256 } from '../helpers/bytes.js'
import { certificate } from '../helpers/certificate.js'
import { connectFrames, FLAG, frame, request, TYPE, word } from '../helpers/http2-frames.js'
import { connectSession, type Http2Connection } from '../helpers/http2-peer.js'
import { needs } from '../helpers/needs.js'
import { setTimings } from '../helpers/timings.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

/** What a peer allows the other one to send on a stream at first (RFC 9113, 6.5.2). */
const WINDOW = 65_535

beforeEach((context) => needs(context, 'openssl'))

async function start(options: ServiceOptions = {}) {
  const pair = await certificate()
  const service = createService({ reservations: true, ...options })
  const server = await listen(service, { port: 0, tls: { certFile: pair.path, keyFile: pair.keyPath } })
  onTestFinished(() => within(DEADLINE_MS, 'the server stops', server.stopNow()))
  const ends: SocketStats[] = []
  for (const event of ['socket:end', 'socket:timeout', 'error:socket'] as const)
    service.on(event, (_socket, stats) => ends.push(stats))
  const outcome = async () => {
    await until('a socket has ended', () => ends.length > 0)
    return ends[0]
  }
  return { service, server, port: server.port, ends, outcome, connect: () => connectSession(server.port) }
}

/** One exchange on a session, as far as it has come. */
function say(
  { session }: Pick<Http2Connection, 'session'>,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  endStream = true,
) {
  const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream })
  const chunks: Buffer[] = []
  let status: number | undefined
  let trailers: Record<string, unknown> = {}
  let hasEnded = false
  stream
    .on('response', (head) => {
      status = head[':status']
    })
    .on('trailers', (fields) => {
      trailers = fields
    })
    .on('data', (bytes: Buffer) => chunks.push(bytes))
    .on('end', () => {
      hasEnded = stream.rstCode === constants.NGHTTP2_NO_ERROR
    })
    // How it ends is looked at by its code.
    .on('error', () => undefined)
  const text = () => Buffer.concat(chunks).toString('latin1')
  return {
    stream,
    text,
    bytes: () => Buffer.concat(chunks),
    status: () => status,
    trailers: () => trailers,
    untilText: (pattern: RegExp) =>
      until(`the stream reads ${pattern}`, () => pattern.exec(text()) ?? undefined)
        .then((found) => found ?? [])
        .catch((error: unknown) => {
          throw new Error(`${error}; it has read ${text()}`)
        }),
    /** The code with which it was closed; undefined code is none. */
    closed: async () => {
      await until('the stream is closed', () => stream.closed)
      await until('its end is seen', () => stream.destroyed)
      return { code: stream.rstCode, hasEnded }
    },
    events: (): StatusEvent[] => new StatusDecoder().push(text()),
  }
}

const NDJSON = { accept: 'application/x-ndjson' }

/** A sender whose early response is there. */
async function openSender(connection: Http2Connection, headers: Record<string, string> = {}) {
  const sender = say(connection, 'PUT', '/notes.txt', { ...NDJSON, ...headers }, false)
  const [, id = ''] = await sender.untilText(/"id":"([^"]+)"/)
  return { ...sender, id }
}

async function connectReceiver(
  connection: Http2Connection,
  sender: Awaited<ReturnType<typeof openSender>>,
  headers: Record<string, string> = {},
) {
  const receiver = say(connection, 'GET', `/${sender.id}`, headers)
  await sender.untilText(/"connected"/)
  return receiver
}

/** What stands before a server, and can keep from a peer what the server says to it. */
async function startGate(port: number) {
  let upstream: Socket | undefined
  const gate = createServer({ noDelay: true }, (peer) => {
    const server = connectTcp({ port, host: '127.0.0.1', noDelay: true })
    upstream = server
    server.on('data', (bytes) => peer.write(bytes)).on('error', () => peer.destroy())
    peer.on('data', (bytes) => server.write(bytes)).on('error', () => server.destroy())
    onTestFinished(() => {
      for (const socket of [server, peer]) socket.destroy()
    })
  })
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void gate.close())
  return {
    // A server that listens on TCP has this kind of address.
    connection: await connectSession((gate.address() as AddressInfo).port),
    hold: () => upstream?.pause(),
    release: () => upstream?.resume(),
    cut: () => upstream?.resetAndDestroy(),
  }
}

const windowOf = (session: ClientHttp2Session) => session.remoteSettings?.initialWindowSize

/** Writes, and is not disturbed by the stream's being closed meanwhile. */
const write = (stream: ClientHttp2Stream, bytes: string | Buffer) => void stream.write(bytes)

describe('by HTTP/2, a transfer', () => {
  test.each([
    ['of known length', true],
    ['of unknown length', false],
  ])('%s arrives, and is confirmed by a receiver that keeps its connection', async (_kind, isKnown) => {
    const { connect, outcome } = await start()
    const [one, other] = [await connect(), await connect()]
    const bytes = bytesOf(3_000_017)
    const sender = await openSender(one, isKnown ? { 'content-length': String(bytes.length) } : {})
    const receiver = await connectReceiver(other, sender, { te: 'trailers' })
    sender.stream.end(bytes)
    expect(await receiver.closed()).toEqual({ code: 0, hasEnded: true })
    expect(sha256(receiver.bytes())).toBe(sha256(bytes))
    expect(receiver.trailers()).toMatchObject(isKnown ? {} : { 'ess-length': String(bytes.length) })
    await sender.untilText(/"delivered"/)
    expect(sender.events().at(-1)).toEqual({ event: 'delivered', bytes: bytes.length, confirmed: true })
    expect(await sender.closed()).toEqual({ code: 0, hasEnded: true })
    expect(await outcome()).toMatchObject({ outcome: 'delivered', confirmed: true })
    expect(other.session.destroyed).toBe(false)
  })

  // A browser's button, and curl -d '': the end of the request is a frame of its own.
  test.each([
    ['no byte', ''],
    ['a byte', '='],
  ])('arrives at a receiver whose request has a body of %s', async (_what, body) => {
    const { connect, outcome } = await start()
    const [one, other] = [await connect(), await connect()]
    const bytes = bytesOf(1_000_003)
    const sender = await openSender(one, { 'content-length': String(bytes.length) })
    const receiver = say(other, 'POST', `/${sender.id}`, { 'content-length': String(body.length) }, false)
    receiver.stream.end(body)
    await sender.untilText(/"connected"/)
    sender.stream.end(bytes)
    expect(await receiver.closed()).toEqual({ code: 0, hasEnded: true })
    expect(sha256(receiver.bytes())).toBe(sha256(bytes))
    expect(await outcome()).toMatchObject({ outcome: 'delivered', confirmed: true })
  })

  test.each([
    ['GET', []],
    // The end of its request is a frame of its own.
    ['POST', [frame(TYPE.data, FLAG.endStream, 1)]],
  ])(
    'whose receiver asked by %s and leaves with NO_ERROR before it has all is not whole',
    async (method, more) => {
      const { connect, ends, port } = await start()
      const bytes = bytesOf(WINDOW + 1)
      const sender = await openSender(await connect(), { 'content-length': String(bytes.length) })
      const receiver = await connectFrames(port)
      const flags = more.length === 0 ? FLAG.endStream : FLAG.none
      await receiver.send(Buffer.concat([request(1, method, `/${sender.id}`, flags), ...more]))
      await sender.untilText(/"connected"/)
      sender.stream.end(bytes)
      // It answers each question, but allows the server no more than its first window.
      let answered = 0
      const answerPings = async () => {
        const pings = receiver.got(TYPE.ping).slice(answered)
        answered += pings.length
        for (const { payload } of pings) await receiver.send(frame(TYPE.ping, FLAG.ack, 0, payload))
      }
      const received = () => receiver.got(TYPE.data).reduce((sum, { payload }) => sum + payload.length, 0)
      await until('the window is full', async () => {
        await answerPings()
        return received() === WINDOW
      })
      await receiver.send(frame(TYPE.reset, FLAG.none, 1, word(constants.NGHTTP2_NO_ERROR)))
      await until('the transfer ends', async () => {
        await answerPings()
        return ends.length > 0
      })
      expect(ends).toMatchObject([{ outcome: 'receiver-lost' }])
    },
  )

  test('whose receiver has answered, and is gone before the last bytes come, is not whole', async () => {
    const { connect, ends, port } = await start()
    const bytes = bytesOf(20_000)
    const sender = await openSender(await connect(), { 'content-length': String(bytes.length) })
    const receiver = await connectFrames(port)
    // Before it sends the last bytes, the server asks whether all that precede them have come.
    const { isRead } = Line.prototype
    vi.spyOn(Line.prototype, 'isRead').mockImplementation(async function (this: Line) {
      const answer = await isRead.call(this)
      receiver.leave()
      return answer
    })
    onTestFinished(() => void vi.restoreAllMocks())
    await receiver.send(request(1, 'GET', `/${sender.id}`))
    await sender.untilText(/"connected"/)
    sender.stream.end(bytes)
    const { payload } = await receiver.untilGot(TYPE.ping)
    await receiver.send(frame(TYPE.ping, FLAG.ack, 0, payload))
    await until('the transfer ends', () => ends.length > 0)
    expect(receiver.got(TYPE.data).reduce((sum, { payload }) => sum + payload.length, 0)).toBeLessThan(20_000)
    expect(ends).toMatchObject([{ outcome: 'receiver-lost' }])
  })

  test('between the streams of one connection arrives', async () => {
    const { connect } = await start()
    const both = await connect()
    const bytes = bytesOf(66_000)
    const sender = await openSender(both)
    const receiver = await connectReceiver(both, sender)
    sender.stream.end(bytes)
    await receiver.closed()
    expect(sha256(receiver.bytes())).toBe(sha256(bytes))
    await sender.untilText(/"confirmed":true/)
  })

  test('whose sender is lost ends with INTERNAL_ERROR, and with no end of the stream before that', async () => {
    const { connect, outcome } = await start()
    const [one, other] = [await connect(), await connect()]
    const sender = await openSender(one)
    const receiver = await connectReceiver(other, sender)
    write(sender.stream, 'half')
    await receiver.untilText(/half/)
    one.carrier.resetAndDestroy()
    expect(await receiver.closed()).toEqual({ code: constants.NGHTTP2_INTERNAL_ERROR, hasEnded: false })
    expect(await outcome()).toMatchObject({ outcome: 'sender-lost' })
  })

  test.each([
    ['CANCEL', constants.NGHTTP2_CANCEL],
    ['INTERNAL_ERROR', constants.NGHTTP2_INTERNAL_ERROR],
    ['NO_ERROR', constants.NGHTTP2_NO_ERROR],
  ])('whose sender takes it back with %s is not whole', async (_name, code) => {
    const { connect, outcome } = await start()
    const [one, other] = [await connect(), await connect()]
    const sender = await openSender(one)
    const receiver = await connectReceiver(other, sender)
    write(sender.stream, 'half')
    await receiver.untilText(/half/)
    sender.stream.close(code)
    expect(await outcome()).toMatchObject({ outcome: 'sender-lost' })
    expect(await receiver.closed()).toEqual({ code: constants.NGHTTP2_INTERNAL_ERROR, hasEnded: false })
  })

  test.each([
    ['its stream', (receiver: ReturnType<typeof say>, _other: Http2Connection) => receiver.stream.close(8)],
    [
      'its connection',
      (_receiver: ReturnType<typeof say>, other: Http2Connection) => other.carrier.resetAndDestroy(),
    ],
    [
      'its connection in good order',
      (_receiver: ReturnType<typeof say>, other: Http2Connection) => other.session.destroy(),
    ],
  ])('whose receiver ends %s midway is told to the sender, before INTERNAL_ERROR', async (_what, leave) => {
    const { connect, outcome } = await start()
    const [one, other] = [await connect(), await connect()]
    const sender = await openSender(one)
    const receiver = await connectReceiver(other, sender)
    write(sender.stream, 'half')
    await receiver.untilText(/half/)
    leave(receiver, other)
    await sender.untilText(/"failed"/)
    expect(sender.events().at(-1)).toMatchObject({ problem: { type: 'urn:ess:problem:receiver-lost' } })
    expect(await sender.closed()).toEqual({ code: constants.NGHTTP2_INTERNAL_ERROR, hasEnded: false })
    expect(await outcome()).toMatchObject({ outcome: 'receiver-lost' })
  })

  test('whose receiver is cut off with bytes it has not read fails, however few they are', async () => {
    const { connect, outcome } = await start()
    const [one, other] = [await connect(), await connect()]
    const sender = await openSender(one, { 'content-length': '60000' })
    const receiver = await connectReceiver(other, sender)
    // The kernel's buffers of this machine take all of it.
    receiver.stream.pause()
    other.carrier.pause()
    sender.stream.end(bytesOf(60_000))
    await sender.untilText(/"bytes":[1-9]/)
    other.carrier.resetAndDestroy()
    expect(await outcome()).toMatchObject({ outcome: 'receiver-lost' })
  })

  test('whose receiver has read all, and does not answer for it, is not confirmed; its connection is left alone', async () => {
    // The question (PING) comes a second behind the last byte.
    setTimings({ confirmMs: 2000 })
    const { connect, outcome, ends, port } = await start()
    const gate = await startGate(port)
    const sender = await openSender(await connect(), { 'content-length': '5' })
    const receiver = await connectReceiver(gate.connection, sender)
    sender.stream.end('hello')
    expect(await receiver.closed()).toEqual({ code: 0, hasEnded: true })
    gate.hold()
    expect(await outcome()).toMatchObject({ outcome: 'delivered', confirmed: false, bytes: 5 })
    expect(await sender.closed()).toEqual({ code: 0, hasEnded: true })
    expect(sender.events().at(-1)).toEqual({ event: 'delivered', bytes: 5, confirmed: false })
    gate.release()
    const next = say(gate.connection, 'GET', '/health')
    expect(await next.closed()).toEqual({ code: 0, hasEnded: true })
    expect(next.status()).toBe(200)
    expect(ends).toHaveLength(1)
  })

  test('whose receiver was asked whether it has read all, and is cut off, is not confirmed', async () => {
    const { connect, outcome, ends, port } = await start()
    const gate = await startGate(port)
    const sender = await openSender(await connect(), { 'content-length': '5' })
    const receiver = await connectReceiver(gate.connection, sender)
    const question = vi.spyOn(Line.prototype, 'isRead')
    onTestFinished(() => question.mockRestore())
    sender.stream.end('hello')
    expect(await receiver.closed()).toEqual({ code: 0, hasEnded: true })
    gate.hold()
    await until('it is asked', () => question.mock.calls.length > 0)
    gate.cut()
    expect(await outcome()).toMatchObject({ outcome: 'delivered', confirmed: false, bytes: 5 })
    await sender.untilText(/"delivered"/)
    expect(sender.events().at(-1)).toEqual({ event: 'delivered', bytes: 5, confirmed: false })
    expect(ends).toHaveLength(1)
  })

  test('that ends badly leaves the others on its connection alone', async () => {
    const { connect, ends } = await start()
    const both = await connect()
    const [first, second] = [await openSender(both), await openSender(both)]
    const [lost, kept] = [await connectReceiver(both, first), await connectReceiver(both, second)]
    write(first.stream, 'half')
    await lost.untilText(/half/)
    lost.stream.close(constants.NGHTTP2_CANCEL)
    await first.untilText(/"failed"/)
    expect(await first.closed()).toMatchObject({ code: constants.NGHTTP2_INTERNAL_ERROR })
    second.stream.end('hello')
    expect(await kept.closed()).toEqual({ code: 0, hasEnded: true })
    await second.untilText(/"delivered"/)
    expect(ends.map(({ outcome }) => outcome)).toEqual(['receiver-lost', 'delivered'])
  })

  test('stalls when its receiver reads nothing, although its connection is busy', async () => {
    const { connect, outcome } = await start({ stallTimeout: 0.5 })
    const [one, other] = [await connect(), await connect()]
    const sender = await openSender(one)
    const receiver = await connectReceiver(other, sender)
    receiver.stream.pause()
    sender.stream.write(bytesOf(8_000_000), () => undefined)
    const asking = setInterval(() => say(other, 'GET', '/health'), 50)
    onTestFinished(() => clearInterval(asking))
    expect((await outcome())?.error?.message).toContain('The receiver took nothing')
  })
})

describe('by HTTP/2, a sender that waits', () => {
  test('may send next to nothing, and when a receiver comes, much', async () => {
    const { connect } = await start()
    const one = await connect()
    expect(one.session.remoteSettings).toMatchObject({ initialWindowSize: 1024, maxConcurrentStreams: 100 })
    const sender = await openSender(one)
    const bytes = bytesOf(500_000)
    sender.stream.end(bytes)
    await say(one, 'GET', '/health').closed()
    // A stream takes all of a write or none.
    expect(sender.stream.writableFinished).toBe(false)
    expect(windowOf(one.session)).toBe(1024)
    const other = await connect()
    const receiver = await connectReceiver(other, sender)
    await until('the windows are wide', () => windowOf(one.session) === 1024 * 1024)
    await receiver.closed()
    expect(sha256(receiver.bytes())).toBe(sha256(bytes))
    await until('the windows are narrow again', () => windowOf(one.session) === 1024)
  })

  test('is missed when its stream is closed, and when its connection is', async () => {
    const { connect, ends } = await start()
    const [one, other] = [await connect(), await connect()]
    const [first, second] = [await openSender(one), await openSender(other)]
    first.stream.close(constants.NGHTTP2_CANCEL)
    await until('the first has ended', () => ends.length === 1)
    expect(second.stream.closed).toBe(false)
    other.session.destroy()
    await until('the second has ended', () => ends.length === 2)
    expect(ends.map(({ outcome }) => outcome)).toEqual(['sender-lost', 'sender-lost'])
  })

  test('is told before its connection ends when the server stops, and the connection says GOAWAY', async () => {
    const { connect, server } = await start()
    const one = await connect()
    const sender = await openSender(one)
    const goaway = new Promise<number>((resolve) => one.session.once('goaway', resolve))
    const stopped = server.stop(0)
    await sender.untilText(/urn:ess:problem:shutting-down/)
    expect(await within(DEADLINE_MS, 'GOAWAY', goaway)).toBe(constants.NGHTTP2_NO_ERROR)
    await within(DEADLINE_MS, 'the server stops', stopped)
  })
})

describe('by HTTP/2, a refused upload', () => {
  test('that is longer or shorter than it says is not whole', async () => {
    const { connect, ends } = await start()
    for (const [length, body] of [
      ['3', 'hello'],
      ['10', 'hello'],
    ] as const) {
      const before = ends.length
      // A connection each: Node 22 and later have no more to do with one that says more than it has said.
      const sender = await openSender(await connect(), { 'content-length': length })
      await connectReceiver(await connect(), sender)
      sender.stream.end(body)
      await until('it has ended', () => ends.length > before)
    }
    expect(ends.map(({ outcome }) => outcome)).toEqual(['sender-lost', 'sender-lost'])
  })

  test('with a head of more than 16 KiB is reset, and its connection serves on', async () => {
    const { connect } = await start()
    const one = await connect()
    const large = say(one, 'GET', '/health', { 'x-large': 'x'.repeat(20_000) })
    expect(await large.closed()).toMatchObject({ code: constants.NGHTTP2_ENHANCE_YOUR_CALM })
    const next = say(one, 'GET', '/health')
    await next.closed()
    expect(next.status()).toBe(200)
  })

  test('is answered whole, and its body is not wanted', async () => {
    const { connect } = await start({ maxUploadBytes: 10 })
    const one = await connect()
    const refused = say(one, 'PUT', '/', { 'content-length': '500000' }, false)
    refused.stream.write(bytesOf(400_000), () => undefined)
    expect(await refused.closed()).toEqual({ code: constants.NGHTTP2_NO_ERROR, hasEnded: true })
    expect(refused.status()).toBe(413)
    expect(refused.text()).toMatch(/ \[too-large\]\n$/)
  })

  test('gets no 100, and an accepted one does', async () => {
    const { connect } = await start({ maxUploadBytes: 10 })
    const one = await connect()
    const interim: number[] = []
    for (const length of ['500000', '5']) {
      const sender = say(one, 'PUT', '/', { 'content-length': length, expect: '100-continue' }, false)
      sender.stream.on('headers', (headers) => interim.push(headers[':status'] ?? 0))
      await until('it is answered', () => sender.status() !== undefined)
    }
    expect(interim).toEqual([100])
  })
})

test('in an http2 server of the embedder’s, nothing is taken that could not be ended truthfully', async () => {
  const { cert, key } = await certificate()
  const service = createService()
  // Its types do not know of Node's own compatibility.
  const handler = service.handler as unknown as (
    request: Http2ServerRequest,
    response: Http2ServerResponse,
  ) => void
  const server = createSecureServer({ cert, key }, handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    service.stopNow()
  })
  // A server that listens on TCP has this kind of address.
  const { port } = server.address() as AddressInfo
  const one = await connectSession(port)
  const sender = say(one, 'PUT', '/', { 'content-length': '5' }, false)
  await sender.untilText(/ \[http-version-not-supported\]\n$/)
  expect(sender.status()).toBe(505)
  expect(service.counts().sockets).toBe(0)
})

test('by HTTP/2, no head speaks of the connection, and the host is that of the request', async () => {
  const { connect, port } = await start()
  const one = await connect()
  const sender = say(one, 'POST', '/', { ...NDJSON, 'content-length': '0' })
  const [, url = ''] = await sender.untilText(/"url":"([^"]+)"/)
  expect(url).toMatch(new RegExp(`^https://localhost:${port}/[\\w-]{12}$`))
  const other = say(one, 'GET', '/health', { ':authority': 'send.example.org' })
  const headers = new Promise((resolve) => other.stream.once('response', resolve))
  expect(await within(DEADLINE_MS, 'its head', headers)).not.toHaveProperty('connection')
})

test('by HTTP/2, a request may say its host twice, but not two of them', async () => {
  const { connect } = await start()
  const one = await connect()
  const asked = { ':authority': 'send.example.org' }
  const same = say(one, 'GET', '/health', { ...asked, host: 'send.example.org' })
  await same.closed()
  expect(same.status()).toBe(200)
  const other = say(one, 'GET', '/health', { ...asked, host: 'evil.example' })
  await other.closed()
  expect(other.status()).toBe(400)
  expect(other.text()).toBe(
    'The request has 2 Host headers, and must have one. Check the program that sends it, and any proxy on the way. [bad-request]\n',
  )
})
