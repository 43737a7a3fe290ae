import type { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { CORS_HEADERS } from '../../../shared/index.js'
import { bytesOf } from '../../helpers/bytes.js'
import { exchange, parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { NODES } from '../../helpers/other-node.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { holdTimers } from '../../helpers/timings.js'
import { until } from '../../helpers/within.js'
import {
  bodyOf,
  chunk,
  connectReceiver,
  eventsOf,
  expectCutOff,
  expectSenderFailed,
  IS_ALONE,
  LAST_CHUNK,
  openReceiver,
  openSender,
  type RawSender,
  RESETS_PASS,
  senderHead,
  serve,
  untilEnded,
} from '../serve.js'

/** The heads of interim answers in what a peer read. */
const interim = (text: string) => text.match(/^HTTP\/1\.1 1\d\d.*$/gm) ?? []

/** Both ways to send a body, and the same bytes in each. */
const BODIES = [
  {
    kind: 'of known length',
    request: (length: number) => ({ length }),
    frame: (text: string) => text,
    last: '',
  },
  { kind: 'chunked', request: () => ({}), frame: chunk, last: LAST_CHUNK },
] as const

describe('100 (Continue)', () => {
  test('comes before the 201 to a sender that expects it, and nothing interim comes later', async () => {
    const { port } = await serve()
    const sender = await openSender(port, { length: 5, headers: { Expect: '100-continue' } })
    expect(sender.text()).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 Created\r\n/)
    const receiver = await connectReceiver(port, sender)
    await sender.write('hello')
    await receiver.until(/hello/)
    receiver.end()
    await sender.until(/"event":"delivered"/)
    expect(interim(sender.text())).toEqual(['HTTP/1.1 100 Continue'])
    expect(interim(receiver.text())).toEqual([])
  })

  test('does not come to a sender that does not', async () => {
    const { port } = await serve()
    const sender = await openSender(port, { length: 5 })
    expect(sender.text()).toMatch(/^HTTP\/1\.1 201 Created\r\n/)
    const receiver = await connectReceiver(port, sender)
    await sender.write('hello')
    await receiver.until(/hello/)
    receiver.end()
    await sender.until(/"event":"delivered"/)
    expect(interim(sender.text())).toEqual([])
  })
})

describe('a refusal', () => {
  const REFUSALS = [
    [413, 'too-large', { length: 1001 }],
    // A form may hold 64 KiB beside its file.
    [
      413,
      'too-large',
      { length: 1001 + 64 * 1024, headers: { 'Content-Type': 'multipart/form-data; boundary=x' } },
    ],
    [400, 'bad-request', { headers: { 'Content-Type': 'multipart/form-data' } }],
    [415, 'unsupported-media-type', { headers: { 'Content-Encoding': 'gzip' } }],
    [400, 'bad-request', { headers: { 'Content-Range': 'bytes 0-1/2' } }],
    [400, 'bad-request', { target: 'POST /?ttl=0' }],
    [400, 'bad-request', { target: 'POST /?ttl=soon' }],
    [400, 'bad-request', { target: 'PUT /%E9' }],
    [400, 'bad-request', { headers: { Host: 'a/b' } }],
    [404, 'not-found', { target: 'PUT /a/b/c' }],
    [404, 'not-found', { target: 'POST /name' }],
    [405, 'method-not-allowed', { target: 'PATCH /name' }],
    [405, 'method-not-allowed', { target: 'PATCH /' }],
    [417, 'expectation-failed', { headers: { Expect: '200-maybe' } }],
  ] as const

  test.each(REFUSALS)('with %i %s comes before any byte of the body, and no 100 does: %j', async (...row) => {
    const [status, code, request] = row
    const { port, opened } = await serve({ maxUploadBytes: 1000 })
    const peer = await connectRaw(port)
    const headers = {
      Connection: 'keep-alive',
      Expect: '100-continue',
      ...('headers' in request && request.headers),
    }
    await peer.write(senderHead({ ...request, headers }))
    expect(await peer.ending()).toBe('fin')
    const answer = parseAnswer(peer.text())
    expect(answer).toMatchObject({ status, headers: { connection: 'close' } })
    expect(answer.body).toMatch(new RegExp(` \\[${code}\\]\n$`))
    expect(opened).toEqual([])
  })

  test('is JSON for a sender that accepts it', async () => {
    const { port } = await serve({ maxUploadBytes: 1000 })
    const peer = await connectRaw(port)
    await peer.write(senderHead({ length: 1001, headers: { Accept: 'application/problem+json' } }))
    await peer.ending()
    const { headers, body } = parseAnswer(peer.text())
    expect(headers['content-type']).toBe('application/problem+json')
    expect(JSON.parse(body)).toEqual({
      type: 'urn:ess:problem:too-large',
      title: 'The file is too large for this server',
      detail:
        'The file is 1001 bytes; this server takes at most 1000 bytes. Only its operator can raise that (--max-upload-bytes).',
      status: 413,
    })
  })

  test('reaches a sender that pushes its body all the same', async () => {
    const { port } = await serve({ maxUploadBytes: 1000 })
    const size = 3_000_000
    const peer = await connectRaw(port, { paused: true })
    await peer.write(senderHead({ length: size }))
    await peer.write(bytesOf(size))
    peer.end()
    expect(await peer.ending()).toBe('fin')
    expect(parseAnswer(peer.text())).toMatchObject({ status: 413 })
  })

  test('of an HTTP/1.0 sender has its reason', async () => {
    const { port } = await serve()
    const peer = await connectRaw(port)
    await peer.write('POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello')
    await peer.ending()
    expect(peer.text()).toMatch(
      /^HTTP\/1\.1 505 .*\r\n\r\n[^\r\n]*HTTP\/1\.0\. [^\r\n]* \[http-version-not-supported\]\n$/s,
    )
  })

  test.each([
    [
      503,
      'too-many-sockets',
      async () => {
        const served = await serve({ maxSockets: 1 })
        await openSender(served.port)
        // The other nodes are full as well.
        for (let others = NODES - 1; others > 0; others--) await openSender(served.port)
        return served
      },
    ],
    [
      503,
      'shutting-down',
      async () => {
        const served = await serve()
        // A running transfer keeps the server listening.
        await connectReceiver(served.port, await openSender(served.port))
        void served.broker.stop(60_000)
        return served
      },
    ],
  ] as const)('with %i %s says when to come again', async (status, code, prepare) => {
    const { port } = await prepare()
    const peer = await connectRaw(port)
    await peer.write(senderHead({ length: 5, headers: { Expect: '100-continue' } }))
    await peer.ending()
    expect(parseAnswer(peer.text())).toMatchObject({
      status,
      headers: {
        // Other nodes may take it at once.
        'retry-after': !IS_ALONE && code === 'shutting-down' ? '1' : '30',
        connection: 'close',
      },
      body: expect.stringMatching(new RegExp(` \\[${code}\\]\n$`)),
    })
  })
})

describe('the limit of an upload', () => {
  test.each([
    [999, 201],
    [1000, 201],
    [1001, 413],
  ])('meets a declared %i of 1000 bytes with %i', async (length, status) => {
    const { port } = await serve({ maxUploadBytes: 1000 })
    const peer = await connectRaw(port)
    await peer.write(senderHead({ length }))
    await peer.until(new RegExp(`^HTTP/1\\.1 ${status} `))
  })

  test.each([
    [1000, 1000, 'delivered'],
    [1000, 1001, 'too-large'],
    [0, 100_000, 'delivered'],
  ])('of %i bytes meets a chunked body of %i with %s', async (maxUploadBytes, size, outcome) => {
    const served = await serve({ maxUploadBytes })
    const sender = await openSender(served.port)
    const receiver = await connectReceiver(served.port, sender)
    await sender.write(chunk('x'.repeat(size)) + LAST_CHUNK)
    await receiver.ending()
    receiver.end()
    expect(await untilEnded(served)).toMatchObject([{ outcome }])
  })
})

describe('the head of a download', () => {
  test.each([
    ['whole', 200, 'hello'],
    ['lost', 502, expect.stringMatching(/ \[sender-lost\]\n$/)],
  ])(
    'comes before the size of a chunk that comes by itself, of a body that is %s',
    async (how, status, body) => {
      const { port } = await serve()
      const sender = await openSender(port)
      const receiver = await connectReceiver(port, sender)
      await sender.write('5\r\n')
      // By two answers to others the server has read it.
      for (const _ of [1, 2]) await exchange(port, requestHead('GET /health'))
      if (how === 'whole') await sender.write(`hello\r\n${LAST_CHUNK}`)
      else sender.reset()
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      expect(parseAnswer(receiver.text())).toMatchObject({ status, body })
    },
  )

  test.each(BODIES)(
    'waits for the first byte of a body $kind: a sender that dies gives a 502',
    async (body) => {
      const { port } = await serve()
      const sender = await openSender(port, body.request(5))
      const receiver = await connectReceiver(port, sender)
      sender.reset()
      expect(await receiver.ending()).toBe('fin')
      expect(parseAnswer(receiver.text())).toMatchObject({
        status: 502,
        body: expect.stringMatching(/ \[sender-lost\]\n$/),
      })
    },
  )

  test.each([
    ['stalls', { stallTimeout: 0.2 }, 504, 'stalled'],
    ['goes over the limit with its first bytes', { maxUploadBytes: 4 }, 502, 'sender-lost'],
  ])('waits: a sender that %s gives a problem', async (_what, options, status, code) => {
    const { port } = await serve(options)
    const sender = await openSender(port)
    const receiver = await connectReceiver(port, sender)
    if ('maxUploadBytes' in options) await sender.write(chunk('hello'))
    await receiver.ending()
    expect(parseAnswer(receiver.text())).toMatchObject({
      status,
      body: expect.stringMatching(new RegExp(` \\[${code}\\]\n$`)),
    })
  })

  test('waits for a sender that says nothing, and then comes without a body', async () => {
    const timers = holdTimers('heldHeadMs')
    const { port } = await serve()
    const receiver = await connectReceiver(port, await openSender(port, { length: 5 }))
    expect(receiver.text()).toBe('')
    timers.fire()
    await receiver.until(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n$/s)
  })

  test('comes with the first byte, before the second', async () => {
    const { port } = await serve()
    const sender = await openSender(port, { length: 2 })
    const receiver = await connectReceiver(port, sender)
    await sender.write('a')
    await receiver.until(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\na$/s)
    await sender.write('b')
    await receiver.until(/\r\n\r\nab$/)
  })

  test('has everything that keeps a download safe', async () => {
    const { port } = await serve()
    const headers = { 'Content-Type': 'text/html; charset=utf-8' }
    const sender = await openSender(port, { target: 'PUT /%C3%A9%22.html', length: 2, headers })
    const receiver = await connectReceiver(port, sender)
    await sender.write('ok')
    await receiver.ending()
    expect(parseAnswer(receiver.text()).headers).toEqual({
      'accept-ranges': 'none',
      'access-control-allow-origin': '*',
      'access-control-expose-headers': CORS_HEADERS['Access-Control-Expose-Headers'],
      'cache-control': 'no-store, no-transform',
      connection: 'close',
      'content-disposition': `attachment; filename="_\\".html"; filename*=UTF-8''%C3%A9%22.html`,
      'content-length': '2',
      'content-security-policy': "sandbox; default-src 'none'",
      'cross-origin-resource-policy': 'same-origin',
      'content-type': 'text/plain; charset=utf-8',
      date: expect.any(String),
      etag: `"${sender.id}"`,
      'referrer-policy': 'no-referrer',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
      'x-robots-tag': 'none',
    })
  })
})

describe.each(BODIES)('a body $kind', ({ request, frame, last }) => {
  test('is delivered when the receiver has closed its half, and not before', async () => {
    const served = await serve()
    const sender = await openSender(served.port, request(5))
    const receiver = await connectReceiver(served.port, sender)
    await sender.write(frame('hello') + last)
    // Our half is closed, and the receiver's is still open.
    expect(await receiver.ending()).toBe('fin')
    expect(parseAnswer(receiver.text())).toMatchObject({
      headers: { connection: 'close' },
      body: 'hello',
    })
    expect(served.ends).toEqual([])
    receiver.end()
    await sender.until(/\{"event":"delivered","bytes":5,"confirmed":true\}\n\r\n0\r\n\r\n$/)
  })

  test.runIf(RESETS_PASS)(
    'is not delivered to a receiver that resets, though it was sent every byte',
    async () => {
      const { port } = await serve()
      const sender = await openSender(port, request(5))
      const receiver = await connectReceiver(port, sender)
      await sender.write(frame('hello') + last)
      await receiver.ending()
      receiver.reset()
      await expectSenderFailed(sender, 'receiver-lost', /after 5 B.*, so it may not have the whole file/)
    },
  )

  test('is delivered without confirmation to a receiver that does not close in time', async () => {
    const timers = holdTimers('confirmMs')
    const served = await serve()
    const sender = await openSender(served.port, request(5))
    const receiver = await connectReceiver(served.port, sender)
    await sender.write(frame('hello') + last)
    expect(await receiver.ending()).toBe('fin')
    await until('the confirmation is waited for', () => timers.pending() === (IS_ALONE ? 1 : 2))
    expect(served.ends).toEqual([])
    timers.fire()
    await sender.until(/\{"event":"delivered","bytes":5,"confirmed":false\}\n\r\n0\r\n\r\n$/)
  })

  test('of a sender that is reset midway resets the receiver: a cut download never ends well', async () => {
    const { port } = await serve()
    const { sender, receiver } = await midway(port, request(10), frame('hello'))
    sender.reset()
    await expectCutOff(receiver)
    expect(bodyOf(receiver)).not.toContain(LAST_CHUNK)
  })

  test('of a sender that closes its half midway resets the receiver, and the sender is told', async () => {
    const { port } = await serve()
    const { sender, receiver } = await midway(port, request(10), frame('hello'))
    sender.end()
    await expectCutOff(receiver)
    await expectSenderFailed(sender, 'sender-lost', /closed its side of the connection/)
  })

  test('that the receiver leaves midway fails in the status stream', async () => {
    const { port } = await serve()
    const { sender, receiver } = await midway(port, request(10), frame('hello'))
    receiver.reset()
    // Of an unknown length, nothing says that more was to come.
    const words =
      last === '' ? /after 5 B of 10 B, so it doesn't have the whole/ : /after 5 B, so it may not have/
    await expectSenderFailed(sender, 'receiver-lost', words)
  })

  test('that stalls midway fails on both sides', async () => {
    const { port } = await serve({ stallTimeout: 0.5 })
    const { sender, receiver } = await midway(port, request(10), frame('hello'))
    await expectCutOff(receiver)
    await expectSenderFailed(sender, 'stalled', /^The sender sent nothing for 1 s, after 5 B/)
  })

  test('that is cut by a server that stops fails on both sides', async () => {
    const { port, server } = await serve()
    const { sender, receiver } = await midway(port, request(10), frame('hello'))
    const stopped = server.stop(0)
    await expectCutOff(receiver)
    await expectSenderFailed(sender, 'shutting-down')
    sender.end()
    await stopped
  })

  test('of a sender that closes its half before a receiver came is told so, and the link is dead', async () => {
    const { port } = await serve()
    const sender = await openSender(port, request(10))
    await sender.write(frame('hello'))
    sender.end()
    await expectSenderFailed(sender, 'sender-lost', /closed its side of the connection/)
    const receiver = await openReceiver(port, `/${sender.id}`)
    await receiver.until(/^HTTP\/1\.1 410 /)
  })
})

test.each(['5\r\n', '5;name=value\r\n'])(
  'the head of the first chunk that comes alone, %j, does not get ahead of the head of the download',
  async (line) => {
    const served = await serve()
    const sender = await openSender(served.port)
    const receiver = await connectReceiver(served.port, sender)
    // The transfer begins to read a moment after it is announced.
    await sender.until(/"event":"progress"/)
    await sender.write(line)
    // Two answers later it has been read by itself.
    for (let round = 0; round < 2; round++) await exchange(served.port, requestHead('GET /health'))
    await sender.write(`hello\r\n${LAST_CHUNK}`)
    await receiver.ending()
    receiver.end()
    expect(receiver.text()).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(bodyOf(receiver)).toMatch(/^5[^\r]*\r\nhello\r\n0\r\n\r\n$/)
    expect((await untilEnded(served))[0]).toMatchObject({ outcome: 'delivered', bytes: 5 })
  },
)

test('a sender that dies after the head of its first chunk gives the receiver a 502', async () => {
  const { port } = await serve()
  const sender = await openSender(port)
  const receiver = await connectReceiver(port, sender)
  await sender.until(/"event":"progress"/)
  await sender.write('5\r\n')
  for (let round = 0; round < 2; round++) await exchange(port, requestHead('GET /health'))
  sender.reset()
  await receiver.until(/^HTTP\/1\.1 502 .*sender-lost/s)
})

describe('a chunked body whose framing breaks', () => {
  const BROKEN = ['not a chunk\r\n', '-1\r\n', '0\r\nno trailer\r\n\r\n', 'FFFFFFFFFFFFFFFFF\r\n']

  test.each(BROKEN)('midway (%j) is told as a bad request, and the receiver is reset', async (broken) => {
    const { port } = await serve()
    const { sender, receiver } = await midway(port, {}, chunk('hello'))
    await sender.write(broken)
    await expectCutOff(receiver)
    await expectSenderFailed(sender, 'bad-request', /^The upload is not valid HTTP\/1\.1: /)
  })

  test('before a receiver came is told as a bad request, and the link is dead', async () => {
    const { port } = await serve()
    const sender = await openSender(port)
    await sender.write('not a chunk\r\n')
    await expectSenderFailed(sender, 'bad-request')
    const receiver = await openReceiver(port, `/${sender.id}`)
    await receiver.until(/^HTTP\/1\.1 410 /)
  })

  test('before its first byte gives the receiver a problem that is not its fault', async () => {
    const { port } = await serve()
    const sender = await openSender(port)
    const receiver = await connectReceiver(port, sender)
    await sender.write('not a chunk\r\n')
    await receiver.ending()
    expect(parseAnswer(receiver.text())).toMatchObject({
      status: 502,
      body: expect.stringMatching(
        /^The server refused this upload, and told the sender why: .* \[sender-lost\]\n$/,
      ),
    })
  })
})

test('a body found too large midway is cut on both sides', async () => {
  const { port } = await serve({ maxUploadBytes: 5 })
  const { sender, receiver } = await midway(port, {}, chunk('hello'))
  await sender.write(chunk('!'))
  await expectCutOff(receiver)
  await expectSenderFailed(
    sender,
    'too-large',
    /^The file is larger than the 5 B that this server takes\. Only its operator .*\.$/,
  )
})

test('a sender that goes on sending after the failure still reads why', async () => {
  const { port } = await serve()
  const { sender, receiver } = await midway(port, { length: 10_000_000 }, 'hello')
  receiver.reset()
  await sender.write(bytesOf(5_000_000))
  await expectSenderFailed(sender, 'receiver-lost')
})

test('a receiver that has counted for itself may close before the sender says that it is done', async () => {
  const { port } = await serve()
  const sender = await openSender(port, { length: 5 })
  const receiver = await connectReceiver(port, sender)
  await sender.write('hello')
  await receiver.until(/hello$/)
  receiver.end()
  await sender.until(/\{"event":"delivered","bytes":5,"confirmed":true\}/)
})

describe.runIf(process.platform === 'linux' && RESETS_PASS)(
  'a receiver that ends its half before its kernel has everything',
  () => {
    const LENGTH = 300_000

    /** All of the file is with the server's kernel, and with the receiver's what goes into its window. */
    async function endEarly() {
      const served = await serve()
      const sender = await openSender(served.port, { length: LENGTH })
      const receiver = await connectRaw(served.port, { paused: true })
      await receiver.write(requestHead(`GET /${sender.id}`))
      await sender.until(/"event":"connected"/)
      await sender.write('x'.repeat(LENGTH))
      await sender.until(new RegExp(`"progress","bytes":${LENGTH},`))
      receiver.end()
      // The server has seen that end by the time it answers somebody who comes after it.
      expect((await exchange(served.port, requestHead('GET /health'))).status).toBe(200)
      expect(served.ends).toEqual([])
      return { served, sender, receiver }
    }

    test('has been served when it reads on', async () => {
      const { served, receiver } = await endEarly()
      expect(await receiver.ending()).toBe('fin')
      expect(bodyOf(receiver)).toHaveLength(LENGTH)
      expect((await untilEnded(served))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
    })

    test('has lost it when it leaves', async () => {
      const { served, sender, receiver } = await endEarly()
      receiver.reset()
      expect((await untilEnded(served))[0]).toMatchObject({ outcome: 'receiver-lost', bytes: LENGTH })
      await expectSenderFailed(sender, 'receiver-lost')
    })
  },
)

test('a waiting sender is given signs of life, with the time left', async () => {
  const { port } = await serve({ heartbeat: 0.02, ttl: 100 })
  const sender = await openSender(port)
  const [, secondsLeft] = await sender.until(/"waiting","secondsLeft":(\d+)\}(?:.*"waiting"){2}/s)
  expect(Number(secondsLeft)).toBeLessThanOrEqual(100)
  const receiver = await connectReceiver(port, sender)
  await sender.write(chunk('hello') + LAST_CHUNK)
  await receiver.ending()
  receiver.end()
  await sender.until(/"event":"delivered"/)
  const names = eventsOf(sender).map(({ event }) => event)
  // The heartbeat is for waiting.
  expect(names.lastIndexOf('waiting')).toBe(names.indexOf('connected') - 1)
  expect(names.at(0)).toBe('opened')
})

test('the sender is told how far it is, of how much', async () => {
  const { port } = await serve()
  const sender = await openSender(port, { length: 10 })
  const receiver = await connectReceiver(port, sender)
  await sender.until(/\{"event":"progress","bytes":0,"total":10\}/)
  await sender.write('hello')
  await sender.until(/\{"event":"progress","bytes":5,"total":10\}/)
  await sender.write('world')
  await receiver.ending()
  receiver.end()
  await sender.until(/"event":"delivered"/)
  expect(eventsOf(sender).map(({ event }) => event)).toEqual([
    'opened',
    'connected',
    'progress',
    'progress',
    'delivered',
  ])
})

test('as text, the first line is exactly the URL and the rest reads as a person expects', async () => {
  const { port } = await serve({ heartbeat: 0.02, ttl: 30 })
  const peer = await connectRaw(port)
  await peer.write(senderHead({ target: 'PUT /name.txt', length: 5, headers: { Accept: '*/*' } }))
  const [, id] = await peer.until(
    /\r\n\r\n[0-9a-f]+\r\nhttp:\/\/localhost\/([\w-]{12,15})\/name\.txt\n# waiting/,
  )
  await peer.until(/# still waiting/)
  const receiver = await openReceiver(port, `/${id}/name.txt`)
  await peer.until(/# receiver connected\n/)
  await peer.write('hello')
  await receiver.ending()
  receiver.end()
  await peer.until(/0\r\n\r\n$/)
  const answer = parseAnswer(peer.text())
  expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
  const [first, ...others] = answer.body.trimEnd().split('\n')
  expect(first).toBe(answer.headers['location'])
  expect(others.filter((line) => !line.startsWith('# '))).toEqual([])
  expect(others.at(-1)).toBe('# delivered: 5 bytes')
})

/** A transfer whose receiver has read "hello". */
async function midway(
  port: number,
  request: { length?: number },
  first: string,
): Promise<{ sender: RawSender; receiver: Awaited<ReturnType<typeof openReceiver>> }> {
  const sender = await openSender(port, request)
  const receiver = await connectReceiver(port, sender)
  await sender.write(first)
  await receiver.until(/hello/)
  return { sender, receiver }
}

test.each([5, undefined])('a sender of length %s that has its verdict is seen to close', async (length) => {
  const { port, service } = await serve()
  const connections: Socket[] = []
  service.on('socket:opened', (_socket, _id, _query, request) => void connections.push(request.socket))
  const sender = await openSender(port, length === undefined ? {} : { length })
  const receiver = await connectReceiver(port, sender)
  await sender.write(length === undefined ? chunk('hello') : 'hello')
  if (length === undefined) await sender.write(LAST_CHUNK)
  await receiver.ending()
  receiver.end()
  expect(await sender.ending()).toBe('fin')
  sender.end()
  await until('the connection is closed', () => connections[0]?.destroyed === true)
  // Not by the server's patience with one that never closes.
  expect(connections[0]?.readableEnded).toBe(true)
})
