import { describe, expect, test } from 'vitest'
import { downloadPath, type ProblemCode } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { until } from '../helpers/within.js'
import {
  bodyOf,
  chunk,
  connectReceiver,
  expectSenderFailed,
  LAST_CHUNK,
  openReceiver,
  openSender,
  senderHead,
  serve,
  untilEnded,
} from './serve.js'

const UNKNOWN = 'abcdefghijkl'
const KEEP = { Connection: 'keep-alive' }
const ONE_AT_A_TIME =
  /HTTP\/1\.1 400 .*This request came before the one ahead of it was answered\..* \[bad-request\]/s
const TUNNEL = requestHead('CONNECT example.org:443')
const NO_TUNNEL = /HTTP\/1\.1 405 .*not a proxy, so it does not take CONNECT\..* \[method-not-allowed\]/s

describe('a connection', () => {
  test('survives the refusals of GET and HEAD, and everything else without a body', async () => {
    const { port } = await serve()
    const used = await openSender(port)
    used.reset()
    const busy = await openSender(port)
    await connectReceiver(port, busy)
    const peer = await connectRaw(port)
    let read = 0
    for (const [target, status] of [
      [`GET /${UNKNOWN}`, 404],
      [`HEAD /${UNKNOWN}`, 404],
      ['GET /%E9', 400],
      ['GET /a/b/c', 404],
      [`GET /${busy.id}`, 409],
      [`HEAD /${busy.id}`, 409],
      [`GET /${used.id}`, 410],
      [`DELETE /${UNKNOWN}`, 404],
      [`PATCH /${UNKNOWN}`, 405],
      [`OPTIONS /${UNKNOWN}`, 204],
      ['GET /health', 200],
    ] as const) {
      await peer.write(requestHead(target, KEEP))
      const pattern = new RegExp(`^.{${read}}HTTP/1\\.1 (\\d+) .*?\\r\\n\\r\\n`, 's')
      const [head, answered] = await peer.until(pattern)
      expect([target, answered]).toEqual([target, String(status)])
      expect(head.slice(read), target).not.toMatch(/\r\nConnection: close\r\n/)
      const length = /\r\nContent-Length: (\d+)/i.exec(head.slice(read))?.[1] ?? '0'
      const bodyLength = target.startsWith('HEAD') ? 0 : Number(length)
      await until(`the body of ${target} is there`, () => peer.text().length >= head.length + bodyLength)
      read = peer.text().length
    }
  })

  test('may carry one transfer after another', async () => {
    const { port } = await serve()
    const peer = await connectRaw(port)
    for (const text of ['first', 'second']) {
      const before = peer.text().length
      await peer.write(senderHead({ length: text.length, headers: KEEP }))
      const [, id] = await peer.until(new RegExp(`^.{${before}}.*"id":"([^"]+)"`, 's'))
      const receiver = await openReceiver(port, `/${id}`)
      await peer.write(text)
      await receiver.ending()
      expect(bodyOf(receiver)).toBe(text)
      receiver.end()
      await peer.until(new RegExp(`^.{${before}}.*"event":"delivered".*\r\n0\r\n\r\n$`, 's'))
    }
  })

  test.each<[string, string, ProblemCode, RegExp]>([
    ['a receiver', requestHead(`GET /${UNKNOWN}`), 'bad-request', ONE_AT_A_TIME],
    ['a sender', senderHead({ length: 0 }), 'bad-request', ONE_AT_A_TIME],
    // Of a tunnel Node gives no response object, and no longer reads the connection.
    ['a tunnel', TUNNEL, 'method-not-allowed', NO_TUNNEL],
  ])('on which %s does not wait for its turn refuses it', async (_who, pipelined, code, answer) => {
    const served = await serve()
    const peer = await connectRaw(served.port)
    await peer.write(senderHead({ length: 0, headers: KEEP }) + pipelined)
    const [, id] = await peer.until(/"id":"([^"]+)"/)
    await until('it is refused', () => served.refused.length > 0)
    expect(served.refused).toEqual([code])
    expect(served.opened).toHaveLength(1)
    // The transfer ahead of it is none the worse, and the refusal comes when that is over.
    const receiver = await openReceiver(served.port, `/${id}`)
    await receiver.ending()
    receiver.end()
    const [said = ''] = await peer.until(/"event":"delivered".*\r\n0\r\n\r\nHTTP\/1\.1 4.*\n\r\n[^\n]+\n$/s)
    expect(said).toMatch(answer)
  })

  test('on which a tunnel does not wait for its turn still tells that its sender has left', async () => {
    const served = await serve()
    const peer = await connectRaw(served.port)
    await peer.write(senderHead({ length: 0, headers: KEEP }) + TUNNEL)
    await peer.until(/"id":/)
    await until('it is refused', () => served.refused.length > 0)
    peer.reset()
    await until('the socket ends', () => served.ends.length > 0)
    expect(served.ends).toMatchObject([{ outcome: 'sender-lost' }])
  })

  test('puts nothing about a tunnel into the download ahead of it', async () => {
    const served = await serve()
    const sender = await openSender(served.port, { length: 5 })
    const peer = await connectRaw(served.port)
    await peer.write(requestHead(`GET /${sender.id}`, KEEP) + TUNNEL)
    await until('it is refused', () => served.refused.length > 0)
    await sender.write('hello')
    expect(await peer.ending()).toBe('fin')
    expect(peer.text()).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\nhello$/s)
  })
})

test.each([
  ['/', '*'],
  [`/${UNKNOWN}/name`, '*'],
  ['/health', '*'],
])('a preflight for %s allows any page to send and to receive', async (path, origin) => {
  const { port } = await serve()
  const request = requestHead(`OPTIONS ${path}`, {
    Origin: 'https://page.example',
    'Access-Control-Request-Method': 'PUT',
    'Access-Control-Request-Headers': 'content-type',
    'Access-Control-Request-Private-Network': 'true',
  })
  expect(await exchange(port, request)).toMatchObject({
    status: 204,
    body: '',
    headers: {
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
      'access-control-allow-headers': expect.stringMatching(/\bContent-Type\b/),
      'access-control-allow-private-network': 'true',
      'access-control-max-age': '86400',
    },
  })
})

test.each([
  ['the early response', senderHead({ length: 0 }), 201],
  ['a refusal', senderHead({ length: 0, target: 'POST /?ttl=0' }), 400],
  ['what is not there', requestHead(`GET /${UNKNOWN}`), 404],
  ['the usage', requestHead('GET /'), 200],
])('a page may read %s', async (_what, request, status) => {
  const { port } = await serve()
  const peer = await connectRaw(port)
  await peer.write(request)
  const [head] = await peer.until(/^.*?\r\n\r\n/s)
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(head).toMatch(/\r\nAccess-Control-Allow-Origin: \*\r\n/i)
  expect(head).toMatch(/\r\nAccess-Control-Expose-Headers: Location, ETag, Content-Disposition,.*\r\n/i)
})

describe('HEAD', () => {
  test.each([
    ['of known length', { length: 5 }, 'hello'],
    ['of unknown length', {}, chunk('hello') + LAST_CHUNK],
  ])('has the headers of the download %s, and consumes nothing', async (_kind, request, body) => {
    const { port } = await serve()
    const headers = { 'Content-Type': 'text/csv' }
    const sender = await openSender(port, { target: 'PUT /a%20b.csv', headers, ...request })
    const heads = []
    for (let time = 0; time < 3; time++) {
      heads.push(await exchange(port, requestHead(`HEAD /${sender.id}/a%20b.csv`)))
    }
    const receiver = await connectReceiver(port, sender)
    await sender.write(body)
    await receiver.ending()
    const download = parseAnswer(receiver.text())
    expect(download).toMatchObject({ status: 200, body: 'hello' })
    // How the body is framed is for the answer that has one.
    const expected = { ...download.headers, date: expect.any(String) }
    for (const { status, headers: seen, body: none } of heads) {
      expect({ status, body: none }).toEqual({ status: 200, body: '' })
      expect({ ...seen, 'transfer-encoding': '' }).toEqual({ ...expected, 'transfer-encoding': '' })
    }
    receiver.end()
    await sender.until(/"event":"delivered"/)
  })

  test('meets the same refusals as GET, without their words', async () => {
    const { port } = await serve()
    const sender = await openSender(port)
    await connectReceiver(port, sender)
    expect(await exchange(port, requestHead(`HEAD /${sender.id}`))).toMatchObject({ status: 409, body: '' })
    expect(await exchange(port, requestHead(`HEAD /${UNKNOWN}`))).toMatchObject({ status: 404, body: '' })
  })
})

describe('an HTTP/1.0 receiver', () => {
  test('gets a body of known length', async () => {
    const { port } = await serve()
    const sender = await openSender(port, { length: 5 })
    const receiver = await openReceiver(port, `/${sender.id}`, 'HTTP/1.0')
    await sender.until(/"event":"connected"/)
    await sender.write('hello')
    expect(await receiver.ending()).toBe('fin')
    expect(bodyOf(receiver)).toBe('hello')
    receiver.end()
    await sender.until(/"event":"delivered"/)
  })

  test('is refused a body of unknown length, whose end it could not tell from a break; it burns nothing', async () => {
    const { port } = await serve()
    const sender = await openSender(port)
    const refused = await exchange(port, requestHead(`GET /${sender.id}`, {}, 'HTTP/1.0'))
    expect(refused).toMatchObject({
      status: 505,
      body: expect.stringMatching(/ \[http-version-not-supported\]\n$/),
    })
    const receiver = await connectReceiver(port, sender)
    await sender.write(chunk('hello') + LAST_CHUNK)
    await receiver.until(/hello/)
  })
})

describe('the end of a connection', () => {
  /** As undici says it: the fetch of Node. */
  const LIKE_UNDICI = 'host: localhost\r\nconnection: keep-alive\r\n'

  test.each([
    ['in chunks, to undici', undefined, LIKE_UNDICI, undefined],
    [
      'in chunks, to a fetch behind something else',
      undefined,
      'Host: h\r\nSec-Fetch-Mode: cors\r\n',
      undefined,
    ],
    [
      'in chunks, to a browser',
      undefined,
      'Host: h\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: none\r\n',
      'close',
    ],
    ['in chunks, to another client', undefined, 'Host: h\r\nConnection: keep-alive\r\n', 'close'],
    ['of known length, to undici', 5, LIKE_UNDICI, 'close'],
  ] as const)('follows a download %s', async (_what, length, fields, said) => {
    const { port } = await serve()
    const sender = await openSender(port, length === undefined ? {} : { length })
    const receiver = await connectRaw(port)
    await receiver.write(`GET /${sender.id} HTTP/1.1\r\n${fields}\r\n`)
    await sender.until(/"connected"/)
    await sender.write(length === undefined ? chunk('hello') + LAST_CHUNK : 'hello')
    expect(await receiver.ending()).toBe('fin')
    const { headers, body } = parseAnswer(receiver.text())
    expect([headers['connection'], body]).toEqual([said, 'hello'])
    receiver.end()
    await sender.until(/"delivered","bytes":5,"confirmed":true/)
  })

  test.each(['GET', 'POST'])('uses nothing up for a %s behind a download', async (method) => {
    const { port, service, opened } = await serve()
    const other = await openSender(port, { length: 5 })
    const sender = await openSender(port)
    const receiver = await connectRaw(port)
    await receiver.write(`GET /${sender.id} HTTP/1.1\r\n${LIKE_UNDICI}\r\n`)
    await sender.until(/"connected"/)
    await sender.write(chunk('hello') + LAST_CHUNK)
    await receiver.until(/\r\n0\r\n\r\n$/)
    // It was not told that the connection ends, and the end may not have come yet.
    const next = method === 'GET' ? `GET /${other.id}` : 'POST /'
    await receiver.write(`${next} HTTP/1.1\r\n${LIKE_UNDICI}Content-Length: 0\r\n\r\n`)
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    await sender.until(/"delivered","bytes":5,"confirmed":true/)
    expect(receiver.text()).toMatch(/\r\n0\r\n\r\n$/)
    expect(service.sockets()).toMatchObject([{ phase: 'waiting' }])
    expect(opened).toHaveLength(2)
  })
})

describe('a request for a part', () => {
  const PART = { Range: 'bytes=5-' }

  test.each([
    ['the rest', 'bytes=2-'],
    ['the beginning', 'bytes=0-4'],
    ['the end', 'bytes=-5'],
    // Not 416 either: a link that is still there has given its bytes to no client.
    ['what is behind the end', 'bytes=5-'],
    ['what is far behind it', 'bytes=999-'],
    ['two parts', 'bytes=0-1,3-4'],
  ])('is refused and burns nothing: %s', async (_what, Range) => {
    const { port } = await serve()
    const sender = await openSender(port, { length: 5 })
    for (const headers of [{ Range }, { Range, 'If-Range': `"${sender.id}"` }]) {
      expect(await exchange(port, requestHead(`GET /${sender.id}`, headers))).toMatchObject({
        status: 409,
        body: expect.stringMatching(/ \[whole-only\]\n$/),
      })
    }
    const receiver = await connectReceiver(port, sender)
    await sender.write('hello')
    await receiver.until(/hello$/)
  })

  test.each([
    ['all of it', { Range: 'bytes=0-' }],
    ['the rest, unless the file is another one, and it is', { ...PART, 'If-Range': '"QQQQQQQQQQQQ"' }],
    ['the rest, unless it is newer', { ...PART, 'If-Range': 'Sun, 29 Nov 2026 12:00:00 GMT' }],
  ])('gets the whole when it asks for %s', async (_what, headers) => {
    const { port } = await serve()
    const sender = await openSender(port, { length: 5 })
    const receiver = await connectRaw(port)
    await receiver.write(requestHead(`GET /${sender.id}`, headers))
    await sender.write('hello')
    await receiver.until(/^HTTP\/1\.1 200 .*\r\n\r\nhello$/s)
  })

  test('by HTTP/1.0 is a probe, even for all of it, and burns nothing', async () => {
    const { port } = await serve()
    const sender = await openSender(port, { length: 5 })
    const probe = requestHead(`GET /${sender.id}`, { Range: 'bytes=0-' }, 'HTTP/1.0')
    expect(await exchange(port, probe)).toMatchObject({ status: 409 })
    await connectReceiver(port, sender)
  })

  test('learns first whether there is anything: 404, 409 and 410 as without a range', async () => {
    const { port } = await serve()
    const sender = await openSender(port, { length: 5 })
    const ask = (id: string) => exchange(port, requestHead(`GET /${id}`, PART))
    expect(await ask(UNKNOWN)).toMatchObject({ status: 404 })
    // It would be refused when the link is there, so it does not wait for it.
    expect(await ask(`${UNKNOWN}?wait=600`)).toMatchObject({ status: 404 })
    await connectReceiver(port, sender)
    expect(await ask(sender.id)).toMatchObject({ status: 409, body: expect.stringMatching(/ \[busy\]\n$/) })
    sender.reset()
    await until('the transfer is over', async () => (await ask(sender.id)).status === 410)
  })

  test('does not wait for the sender of a reservation', async () => {
    const { port } = await serve({ reservations: true })
    const { body } = await exchange(port, requestHead('POST /reserve'))
    const { pathname } = new URL(body.split('\n')[0] ?? '')
    expect(await exchange(port, requestHead(`GET ${pathname}`, PART))).toMatchObject({ status: 409 })
  })
})

test('a second receiver is told that another one is there, and disturbs neither side', async () => {
  const { port } = await serve()
  const sender = await openSender(port, { length: 5 })
  const receiver = await connectReceiver(port, sender)
  expect(await exchange(port, requestHead(`GET /${sender.id}`))).toMatchObject({
    status: 409,
    body: expect.stringMatching(/ \[busy\]\n$/),
  })
  await sender.write('hello')
  await receiver.until(/hello$/)
  receiver.end()
  await sender.until(/"event":"delivered"/)
})

describe('the name of a file', () => {
  test.each([
    ['the path', { target: 'PUT /a%20b.txt?filename=query' }, 'a b.txt'],
    ['the path, made safe', { target: 'PUT /..%2F.-x' }, 'x'],
    [
      'the Content-Disposition',
      { target: 'POST /?filename=query', headers: { 'Content-Disposition': `x; filename*=UTF-8''%C3%A9` } },
      'é',
    ],
    ['the query', { target: 'POST /?filename=a%2Bb+c' }, 'a+b c'],
    ['the next place, where nothing is left of it', { target: 'PUT /...?filename=query' }, 'query'],
    ['nowhere', {}, undefined],
  ])('comes from %s', async (_where, request, name) => {
    const { port, opened } = await serve()
    const { id, url } = await openSender(port, request)
    expect(opened.at(0)?.fileName).toBe(name)
    expect(new URL(url).pathname).toBe(name === undefined ? `/${id}` : downloadPath(id, name))
  })
})

test.each([
  ['?ttl=0.5', 0.5],
  ['?ttl=10', 10],
  ['?ttl=11', 10],
  ['', 10],
])('with %j a sender waits %d s, of the 10 s of its server', async (query, ttl) => {
  const { port } = await serve({ ttl: 10 })
  const sender = await openSender(port, { target: `POST /${query}` })
  expect(sender.text()).toContain(`"ttl":${ttl},`)
})

test.each(['-1', '0', 'soon', '', '1e3', 'NaN'])('a ttl of %j is a bad request', async (ttl) => {
  const { port } = await serve()
  const answer = await exchange(port, senderHead({ target: `POST /?ttl=${ttl}`, length: 0 }))
  expect(answer).toMatchObject({
    status: 400,
    body: `The ttl must be a positive number of seconds, such as 600, not ${JSON.stringify(ttl)}. [bad-request]\n`,
  })
})

test.each([
  ['PATCH /', 'GET, HEAD, POST, PUT, OPTIONS'],
  ['PATCH /name', 'GET, HEAD, POST, DELETE, PUT, OPTIONS'],
  [`PUT /${UNKNOWN}/name`, 'GET, HEAD, POST, DELETE, OPTIONS'],
])('%s is answered with what is allowed there', async (target, allow) => {
  const { port } = await serve()
  expect(await exchange(port, requestHead(target))).toMatchObject({ status: 405, headers: { allow } })
})

test('the health is ok until the server stops', async () => {
  const { port, broker } = await serve()
  const health = () => exchange(port, requestHead('GET /health'))
  expect(await health()).toMatchObject({
    status: 200,
    body: `{"status":"ok","relay":"${broker.relay.gear}","version":"${VERSION}"}`,
  })
  // A running transfer keeps the server listening.
  await connectReceiver(port, await openSender(port))
  void broker.stop(60_000)
  expect(await health()).toMatchObject({ status: 503, body: `{"status":"stopping","version":"${VERSION}"}` })
})

describe('a server that stops', () => {
  test('tells those who wait, and lets a running transfer finish', async () => {
    const served = await serve()
    const waiting = await openSender(served.port)
    const running = await openSender(served.port, { length: 5 })
    const receiver = await connectReceiver(served.port, running)
    const stopped = served.server.stop(60_000)
    await expectSenderFailed(waiting, 'shutting-down')
    waiting.end()
    await running.write('hello')
    await receiver.ending()
    receiver.end()
    await running.until(/"event":"delivered"/)
    running.end()
    await stopped
    expect((await untilEnded(served, 2)).map(({ outcome }) => outcome)).toEqual([
      'shutting-down',
      'delivered',
    ])
    await expect(connectRaw(served.port)).rejects.toThrow('ECONNREFUSED')
  })

  test('at once fails what runs, even after a polite start', async () => {
    const served = await serve()
    const running = await openSender(served.port, { length: 5 })
    const receiver = await connectReceiver(served.port, running)
    await running.write('he')
    await receiver.until(/he$/)
    const politely = served.server.stop(60_000)
    const stopped = served.server.stopNow()
    expect(await receiver.ending()).toBe('rst')
    await expectSenderFailed(running, 'shutting-down')
    running.end()
    await Promise.all([politely, stopped])
  })
})

test.each([
  ['no HTTP', 'hello\r\n\r\n', 400, 'bad-request'],
  [
    'a head over 16 KiB',
    `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers-too-large',
  ],
  [
    'two lengths',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    400,
    'bad-request',
  ],
  ['half a head', 'GET / HT', 400, 'bad-request'],
])('%s is answered in words', async (_what, bytes, status, code) => {
  const { port } = await serve()
  const peer = await connectRaw(port)
  await peer.write(bytes)
  peer.end()
  expect(await peer.ending()).toBe('fin')
  expect(parseAnswer(peer.text())).toMatchObject({
    status,
    body: expect.stringMatching(new RegExp(` \\[${code}\\]\n$`)),
  })
})
