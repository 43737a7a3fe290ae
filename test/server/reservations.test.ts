import { describe, expect, test } from 'vitest'
import { StatusDecoder, type StatusEvent } from '../../shared/index.js'
import { type Answer, exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { IS_BALANCED } from '../helpers/other-node.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { until } from '../helpers/within.js'
import {
  chunk,
  connectReceiver,
  eventsOf,
  expectCutOff,
  expectSenderFailed,
  IS_ALONE,
  LAST_CHUNK,
  openReceiver,
  openSender,
  type Served,
  serve,
  untilEnded,
} from './serve.js'

interface Reserved {
  readonly id: string
  readonly url: string
  readonly upload: string
  readonly events: string
  readonly expires: string
  /** The path of the upload resource. */
  readonly path: string
}

const JSON_WANTED = { Accept: 'application/json' }

async function reserve(port: number, query = '', headers: Record<string, string> = {}): Promise<Reserved> {
  const answer = await exchange(port, requestHead(`POST /reserve${query}`, { ...JSON_WANTED, ...headers }))
  expect(answer.status, answer.body).toBe(201)
  // The members are looked at by the test of the reservation's own form.
  const reservation = JSON.parse(answer.body) as Omit<Reserved, 'path'>
  return { ...reservation, path: new URL(reservation.upload).pathname }
}

/** Starts an upload; with a body of `length` bytes of which nothing is sent yet. */
async function startUpload(
  port: number,
  path: string,
  headers: Record<string, string>,
  method = 'PUT',
): Promise<RawPeer> {
  const peer = await connectRaw(port)
  await peer.write(requestHead(`${method} ${path}`, headers))
  return peer
}

async function answerOf(peer: RawPeer): Promise<Answer> {
  await peer.ending()
  peer.end()
  return parseAnswer(peer.text())
}

/** Follows the events of an upload resource; resolves when `first` was read. */
async function follow(port: number, path: string, first: RegExp): Promise<RawPeer> {
  const peer = await connectRaw(port)
  await peer.write(requestHead(`GET ${path}/events`, { Accept: 'application/x-ndjson' }))
  await peer.until(first)
  return peer
}

/** Waits until the phase of the only socket is this one. */
function untilPhase({ service }: Served, phase: string): Promise<unknown> {
  return until(`the socket is ${phase}`, () => service.sockets()[0]?.phase === phase)
}

const RESERVING = { reservations: true } as const

describe('a ttl beyond the limit of the server', () => {
  const WORDS = '# This server keeps a link for at most 1 min; you asked for 27 h 46 min.\n'

  test('is cut, and a sender reads so, as text and as an event', async () => {
    const { port } = await serve({ ttl: 60 })
    const text = await startUpload(port, '/a.txt?ttl=99999', { 'Content-Length': '1' })
    await text.until(new RegExp(`/a\\.txt\n# waiting .*, for 1 min\n${WORDS}`))
    const event = await openSender(port, { target: 'PUT /?ttl=99999', length: 1 })
    expect(eventsOf(event).at(0)).toMatchObject({ event: 'opened', ttl: 60, ttlAsked: 99_999 })
  })

  test('is cut, and a reservation says so, and its status too', async () => {
    const { port } = await serve({ ...RESERVING, ttl: 60 })
    const text = await exchange(port, requestHead('POST /reserve?ttl=99999'))
    expect(text.body).toMatch(new RegExp(`^http.*\nhttp.*\n${WORDS}$`))
    const reserved = await reserve(port, '?ttl=99999')
    expect(reserved).toMatchObject({ ttlAsked: 99_999 })
    const follower = await follow(port, reserved.path, /"reserved"/)
    expect(eventsOf(follower).at(0)).toMatchObject({ ttl: 60, ttlAsked: 99_999 })
  })

  test.each(['60', '59.5'])('is not one of %s s, of which nothing is said', async (ttl) => {
    const { port } = await serve({ ...RESERVING, ttl: 60 })
    const sender = await openSender(port, { target: `PUT /?ttl=${ttl}`, length: 1 })
    expect(sender.text()).not.toMatch(/ttlAsked/)
    expect(await reserve(port, `?ttl=${ttl}`)).not.toHaveProperty('ttlAsked')
  })
})

describe('a reservation', () => {
  test.each(['POST', 'GET'])('by %s is two lines for people, and an object for programs', async (method) => {
    const { port } = await serve(RESERVING)
    const text = await exchange(port, requestHead(`${method} /reserve?filename=a%20b.txt`))
    expect(text).toMatchObject({
      status: 201,
      headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
    })
    expect(text.body).toMatch(
      /^http:\/\/localhost\/[\w-]{12,15}\/a%20b\.txt\nhttp:\/\/localhost\/uploads\/(?:[\w-]{22}|[\w-]{43})\n$/,
    )
    expect(text.headers['location']).toBe(text.body.split('\n')[0])

    const json = await exchange(port, requestHead(`${method} /reserve?ttl=60`, JSON_WANTED))
    const reservation: unknown = JSON.parse(json.body)
    expect(reservation).toEqual({
      id: expect.stringMatching(/^[\w-]{12,15}$/),
      url: expect.stringMatching(/^http:\/\/localhost\/[\w-]{12,15}$/),
      upload: expect.stringMatching(/^http:\/\/localhost\/uploads\/(?:[\w-]{22}|[\w-]{43})$/),
      events: expect.stringMatching(/^http:\/\/localhost\/uploads\/(?:[\w-]{22}|[\w-]{43})\/events$/),
      expires: expect.toSatisfy((text: string) => {
        const leftMs = Date.parse(text) - Date.now()
        return leftMs > 0 && leftMs <= 60_000
      }),
    })
  })

  test.each([
    ['POST', '/reserve', {}, 404],
    ['HEAD', '/reserve', {}, 405],
    ['GET', '/reserve', { 'Sec-Purpose': 'prefetch' }, 403],
  ] as const)('%s %s %j makes none', async (method, path, headers, status) => {
    const { port, service } = await serve({ reservations: status !== 404 })
    expect((await exchange(port, requestHead(`${method} ${path}`, headers))).status).toBe(status)
    expect(service.counts().sockets).toBe(0)
  })

  test('ends with its TTL, and those who wait for its sender are told', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port, '?ttl=0.5')
    const receiver = exchange(served.port, requestHead(`GET /${id}`))
    const follower = await follow(served.port, path, /"reserved"/)
    expect((await receiver).status).toBe(410)
    await follower.ending()
    expect(eventsOf(follower).at(-1)).toMatchObject({
      event: 'failed',
      problem: { type: 'urn:ess:problem:expired' },
    })
    expect((await exchange(served.port, requestHead(`PUT ${path}`))).status).toBe(404)
    expect((await untilEnded(served)).map(({ outcome }) => outcome)).toEqual(['expired'])
  })

  test.runIf(IS_ALONE)('is refused by a full server and by one that stops', async () => {
    const { port, service } = await serve({ ...RESERVING, maxSockets: 1 })
    await reserve(port)
    expect(await exchange(port, requestHead('POST /reserve'))).toMatchObject({
      status: 503,
      headers: { 'retry-after': '30' },
    })
    const peer = await connectRaw(port)
    await service.close({ drain: 0 })
    await peer.write(requestHead('POST /reserve'))
    await peer.until(/^HTTP\/1\.1 503 .*shutting-down/s)
  })
})

describe('the page that may reserve', () => {
  const PAGE = 'https://share.example/app'

  test.each([
    ['https://share.example/app', 201],
    ['https://share.example/app/', 201],
    ['https://share.example/app/send?x=1', 201],
    ['https://share.example:443/app/send', 201],
    ['HTTPS://SHARE.EXAMPLE/app/send', 201],
    ['https://share.example/other/../app/send', 201],
    ['https://share.example/', 403],
    ['https://share.example/application', 403],
    ['https://share.example/app/../other', 403],
    ['https://share.example.evil.example/app', 403],
    ['https://share.example@evil.example/app', 403],
    ['https://evil.example/?https://share.example/app', 403],
    ['https://share.example:8443/app', 403],
    ['http://share.example/app', 403],
    ['share.example/app', 403],
    ['null', 403],
    [undefined, 403],
  ])('is compared as a URL: from %s the answer is %i', async (referer, status) => {
    const { port, service } = await serve({ ...RESERVING, requiredReferer: PAGE })
    const told: string[] = []
    service.on('error:referer', ({ code }) => told.push(code))
    const headers = referer === undefined ? {} : { Referer: referer }
    expect((await exchange(port, requestHead('POST /reserve', headers))).status).toBe(status)
    expect(told).toEqual(status === 403 ? ['bad-referer'] : [])
  })

  test('may be a whole origin', async () => {
    const { port } = await serve({ ...RESERVING, requiredReferer: 'https://share.example' })
    const from = async (Referer: string) =>
      (await exchange(port, requestHead('POST /reserve', { Referer }))).status
    expect(await from('https://share.example/any/where')).toBe(201)
    expect(await from('https://share.example.evil/')).toBe(403)
  })
})

describe('an early receiver', () => {
  test('gets the bytes when the sender comes', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port)
    const follower = await follow(served.port, path, /"reserved"/)
    const receiver = await openReceiver(served.port, `/${id}`)
    // A connection that was made later is answered later: the receiver's request has been read by then.
    await exchange(served.port, requestHead('GET /health'))
    expect(served.service.sockets()[0]?.phase).toBe('reserved')
    const sender = await startUpload(served.port, path, { 'Content-Length': '5' })
    await sender.write('hello')
    expect(await answerOf(receiver)).toMatchObject({ status: 200, body: 'hello' })
    expect(await answerOf(sender)).toMatchObject({ status: 200, body: '# delivered: 5 bytes\n' })
    await follower.until(/"delivered"/)
  })

  test('that leaves burns nothing', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port)
    const early = await openReceiver(served.port, `/${id}`)
    await exchange(served.port, requestHead('GET /health'))
    early.reset()
    await exchange(served.port, requestHead('GET /health'))
    const sender = await startUpload(served.port, path, { 'Content-Length': '5' })
    await sender.write('hello')
    await untilPhase(served, 'waiting')
    const later = exchange(served.port, requestHead(`GET /${id}`))
    expect(await later).toMatchObject({ status: 200, body: 'hello' })
    expect((await answerOf(sender)).status).toBe(200)
  })

  test('is served, and another one is told that it came too late', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port)
    const both = [
      exchange(served.port, requestHead(`GET /${id}`)),
      exchange(served.port, requestHead(`GET /${id}`)),
    ]
    await exchange(served.port, requestHead('GET /health'))
    const sender = await startUpload(served.port, path, { 'Content-Length': '5' })
    await untilPhase(served, 'streaming')
    const refused = await Promise.race(both)
    expect(refused).toMatchObject({ status: 409, body: expect.stringMatching(/ \[busy\]\n$/) })
    await sender.write('hello')
    const statuses = (await Promise.all(both)).map(({ status }) => status)
    expect(statuses.sort()).toEqual([200, 409])
    expect((await answerOf(sender)).status).toBe(200)
  })

  test('is one of eight at most', async () => {
    const { port, service } = await serve(RESERVING)
    const { id } = await reserve(port)
    const { held } = service.counts()
    for (let count = 0; count < 8; count++) await openReceiver(port, `/${id}`)
    await until('eight receivers wait', () => service.counts().held === held + 8)
    expect(await exchange(port, requestHead(`GET /${id}`))).toMatchObject({
      status: 409,
      body: '8 receivers are waiting for the sender of this file already, and only one will get it. Ask the sender for a link of your own. [busy]\n',
    })
  })

  // Of several nodes, the one that the receiver meets may ask for it when its end is forgotten.
  test.each(IS_ALONE ? [600, 0] : [600])(
    'is told when the sender cancels, with ends remembered for %i s',
    async (tombstoneTtl) => {
      const served = await serve({ ...RESERVING, tombstoneTtl })
      const { id, path } = await reserve(served.port)
      const receiver = exchange(served.port, requestHead(`GET /${id}`))
      await exchange(served.port, requestHead('GET /health'))
      expect((await exchange(served.port, requestHead(`DELETE ${path}`))).status).toBe(204)
      const { status, body } = await receiver
      expect(status).toBe(410)
      // Another node knows that it is over, and not why.
      if (IS_ALONE) expect(body).toMatch(/^The sender stopped this transfer\. /)
    },
  )
})

describe('the upload of a reservation', () => {
  test.each([
    ['PUT', { 'Content-Length': '5' }, 'hello'],
    ['POST', { 'Content-Length': '5' }, 'hello'],
    ['PUT', { 'Transfer-Encoding': 'chunked' }, chunk('hello') + LAST_CHUNK],
    ['PUT', { 'Content-Length': '5', Expect: '100-continue' }, 'hello'],
  ])('by %s %j has no byte of response before the end', async (method, headers, body) => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port, '?filename=name.txt')
    const sender = await startUpload(served.port, path, { ...headers, ...JSON_WANTED }, method)
    await untilPhase(served, 'waiting')
    const receiver = await openReceiver(served.port, `/${id}`)
    await sender.write(body)
    await receiver.until(/hello/)
    const continued = 'Expect' in headers ? 'HTTP/1.1 100 Continue\r\n\r\n' : ''
    expect(sender.text()).toBe(continued)
    expect(await answerOf(receiver)).toMatchObject({
      body: 'hello',
      headers: { 'content-disposition': 'attachment; filename="name.txt"' },
    })
    await sender.ending()
    const answer = parseAnswer(sender.text().slice(continued.length))
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } })
    expect(JSON.parse(answer.body)).toEqual({ event: 'delivered', bytes: 5, confirmed: true })
    expect((await untilEnded(served)).map(({ outcome }) => outcome)).toEqual(['delivered'])
  })

  test('works for an HTTP/1.0 sender', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port)
    const sender = await connectRaw(served.port)
    await sender.write(`PUT ${path} HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello`)
    await untilPhase(served, 'waiting')
    expect(await exchange(served.port, requestHead(`GET /${id}`))).toMatchObject({ body: 'hello' })
    expect((await answerOf(sender)).status).toBe(200)
  })

  test.each([
    [504, 'expired', { ttl: 0.3 }, async (): Promise<void> => {}],
    [
      504,
      'stalled',
      { stallTimeout: 0.3 },
      async ({ port }: Served, id: string): Promise<void> => void (await openReceiver(port, `/${id}`)),
    ],
    [
      502,
      'receiver-lost',
      {},
      async (served: Served, id: string): Promise<void> => {
        const receiver = await openReceiver(served.port, `/${id}`)
        await receiver.until(/he$/)
        receiver.reset()
      },
    ],
    [503, 'shutting-down', {}, async ({ service }: Served): Promise<void> => service.stopNow()],
    [410, 'cancelled', {}, async ({ service }: Served, id: string): Promise<void> => void service.cancel(id)],
  ] as const)('fails with %i for %s', async (status, code, options, tell) => {
    const served = await serve({ ...RESERVING, ...options })
    const { id, path } = await reserve(served.port)
    const sender = await startUpload(served.port, path, {
      'Content-Length': '5',
      Accept: 'application/problem+json',
    })
    await sender.write('he')
    await untilPhase(served, 'waiting')
    await tell(served, id)
    const answer = await answerOf(sender)
    expect(answer).toMatchObject({ status, headers: { 'content-type': 'application/problem+json' } })
    expect(JSON.parse(answer.body)).toMatchObject({ type: `urn:ess:problem:${code}`, status })
    expect((await untilEnded(served)).map(({ outcome }) => outcome)).toEqual([code])
  })

  test('that is cut midway is a failure for the receiver', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port)
    const sender = await startUpload(served.port, path, { 'Content-Length': '5' })
    const receiver = await openReceiver(served.port, `/${id}`)
    await sender.write('he')
    await receiver.until(/he$/)
    sender.reset()
    await expectCutOff(receiver)
    expect((await untilEnded(served)).map(({ outcome }) => outcome)).toEqual(['sender-lost'])
  })

  test('too large is refused and burns nothing', async () => {
    const { port } = await serve({ ...RESERVING, maxUploadBytes: 4 })
    const { path } = await reserve(port)
    const refused = await exchange(port, requestHead(`PUT ${path}`, { 'Content-Length': '5' }))
    expect(refused).toMatchObject({ status: 413 })
    await follow(port, path, /"reserved"/)
  })

  test('has one sender: a second one is refused, and disturbs neither side', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port)
    const sender = await startUpload(served.port, path, { 'Content-Length': '5' })
    const receiver = await openReceiver(served.port, `/${id}`)
    await sender.write('he')
    await receiver.until(/he$/)
    expect(await exchange(served.port, requestHead(`PUT ${path}`, { 'Content-Length': '0' }))).toMatchObject({
      status: 409,
      body: expect.stringMatching(/ \[already-open\]\n$/),
    })
    await sender.write('llo')
    expect((await answerOf(receiver)).body).toBe('hello')
    expect((await answerOf(sender)).status).toBe(200)
  })
})

describe('the secret of an upload resource', () => {
  const VERBS = [
    'PUT /uploads/{}',
    'POST /uploads/{}',
    'DELETE /uploads/{}',
    'GET /uploads/{}/events',
  ] as const

  test.each(VERBS)(
    'is needed for %s: the id will not do, and what is over reads like what never was',
    async (verb) => {
      const { port } = await serve(RESERVING)
      const { id, path } = await reserve(port)
      const over = await reserve(port)
      await exchange(port, requestHead(`DELETE ${over.path}`))
      const ask = (token: string) =>
        exchange(port, requestHead(verb.replace('{}', token), { 'Content-Length': '0' }))
      const never = await ask('a'.repeat(22))
      expect(never).toMatchObject({
        status: 404,
        body: 'No upload has this address. Check it for a typo; the upload may also be over. [not-found]\n',
      })
      for (const token of [id, over.path.slice('/uploads/'.length), over.id, '%00'])
        expect(await ask(token)).toMatchObject({ status: never.status, body: never.body })
      // The socket is none the worse.
      await follow(port, path, /"reserved"/)
    },
  )

  test('is in nothing that a receiver sees', async () => {
    const served = await serve(RESERVING)
    const sender = await openSender(served.port, { length: 2 })
    const [, token = ''] = /\/uploads\/([\w-]{22})/.exec(sender.text()) ?? []
    expect(token).toHaveLength(22)
    const head = await exchange(served.port, requestHead(`HEAD /${sender.id}`))
    const page = await exchange(served.port, requestHead(`GET /${sender.id}`, BROWSER))
    const receiver = await connectReceiver(served.port, sender)
    await sender.write('ok')
    await receiver.ending()
    for (const seen of [JSON.stringify(head), JSON.stringify(page), receiver.text()])
      expect(seen).not.toContain(token)
  })
})

describe('DELETE', () => {
  test('while waiting tells the sender, and the link is dead', async () => {
    const served = await serve(RESERVING)
    const sender = await openSender(served.port)
    const [, path = ''] = /"upload":"http:\/\/localhost(\/uploads\/[^"]+)"/.exec(sender.text()) ?? []
    expect((await exchange(served.port, requestHead(`DELETE ${path}`))).status).toBe(204)
    await expectSenderFailed(
      sender,
      'cancelled',
      /^The sender stopped the transfer, so its link no longer works\.$/,
    )
    expect(await exchange(served.port, requestHead(`GET /${sender.id}`))).toMatchObject({
      status: 410,
      // Another node knows that it is over, and not why.
      body: IS_ALONE
        ? 'The sender stopped this transfer. Ask the sender for a new link. [gone]\n'
        : expect.stringMatching(/ \[gone\]\n$/),
    })
    expect((await exchange(served.port, requestHead(`DELETE ${path}`))).status).toBe(404)
  })

  test('while streaming tells both sides', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port)
    const sender = await startUpload(served.port, path, { 'Content-Length': '5' })
    const receiver = await openReceiver(served.port, `/${id}`)
    await sender.write('he')
    await receiver.until(/he$/)
    const follower = await follow(served.port, path, /"connected"/)
    await exchange(served.port, requestHead(`DELETE ${path}`))
    await expectCutOff(receiver)
    expect(await answerOf(sender)).toMatchObject({
      status: 410,
      body: expect.stringMatching(/ \[cancelled\]\n$/),
    })
    await follower.ending()
    expect(eventsOf(follower).at(-1)).toMatchObject({ problem: { type: 'urn:ess:problem:cancelled' } })
  })
})

describe('the events of an upload resource', () => {
  test.each([
    ['application/x-ndjson', (text: string) => text],
    ['text/event-stream', (text: string) => text.replace(/^event: .*\n/gm, '').replace(/^data: /gm, '')],
  ])('as %s begin with the state and end with the verdict', async (accept, lines) => {
    const served = await serve({ ...RESERVING, heartbeat: 0.02 })
    const { id, path } = await reserve(served.port)
    const follower = await connectRaw(served.port)
    await follower.write(requestHead(`GET ${path}/events`, { Accept: accept }))
    // The state, and two signs of life.
    await follower.until(/(?:"reserved".*){3}/s)
    const sender = await startUpload(served.port, path, { 'Content-Length': '5' })
    await follower.until(/(?:"waiting".*){3}/s)
    const receiver = await openReceiver(served.port, `/${id}`)
    await follower.until(/"event":"progress","bytes":0,"total":5/)
    await sender.write('hello')
    await answerOf(receiver)
    const answer = await answerOf(follower)
    expect(answer).toMatchObject({
      status: 200,
      headers: { 'content-type': accept, 'cache-control': 'no-store, no-transform' },
    })
    if (accept === 'text/event-stream')
      expect(answer.body).toMatch(/^(?:event: (\w+)\ndata: \{"event":"\1".*\}\n\n)+$/)
    const events: StatusEvent[] = new StatusDecoder().push(lines(answer.body))
    const names = events.map(({ event }) => event)
    const runs = names.filter((name, index) => name !== names[index - 1])
    expect(runs).toEqual(['opened', 'reserved', 'waiting', 'connected', 'progress', 'delivered'])
  })

  // With a Redis, there are heartbeats.
  test.skipIf(IS_BALANCED)('are followed by no timer once the follower has gone', async () => {
    const served = await serve(RESERVING)
    const { path } = await reserve(served.port)
    // This process is the server as well, and the TTL of the reservation runs in it.
    const onlyTtlRuns = () =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length === 1
    await until('the connection of the reservation is closed', onlyTtlRuns)
    const follower = await follow(served.port, path, /"reserved"/)
    follower.end()
    await follower.ending()
    await until('the timer of the heartbeat is gone', onlyTtlRuns)
  })

  test('to a follower that comes late begin with where the socket is', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port)
    const sender = await startUpload(served.port, path, { 'Content-Length': '5' })
    const waiting = await follow(served.port, path, /"opened".*"waiting"/s)
    const receiver = await openReceiver(served.port, `/${id}`)
    await sender.write('he')
    await receiver.until(/he$/)
    const late = await follow(served.port, path, /"opened".*"connected".*"bytes":2,"total":5/s)
    await sender.write('llo')
    await answerOf(receiver)
    for (const follower of [waiting, late]) {
      await follower.ending()
      expect(eventsOf(follower).at(-1)).toEqual({ event: 'delivered', bytes: 5, confirmed: true })
    }
  })

  test('go on for others when a follower leaves, and the transfer does not mind', async () => {
    const served = await serve(RESERVING)
    const { id, path } = await reserve(served.port)
    const [leaves, stays] = [
      await follow(served.port, path, /"reserved"/),
      await follow(served.port, path, /"reserved"/),
    ]
    leaves.reset()
    const sender = await startUpload(served.port, path, { 'Content-Length': '2' })
    await sender.write('ok')
    expect((await exchange(served.port, requestHead(`GET /${id}`))).body).toBe('ok')
    expect((await answerOf(sender)).status).toBe(200)
    await stays.until(/"delivered"/)
  })
})

test('a follower that leaves is told nothing more, and no timer of it is left', async () => {
  const rendered: string[] = []
  const served = await serve({
    ...RESERVING,
    heartbeat: 0.05,
    // Only a text stream asks for it, and there will be one alone: that of the follower that leaves.
    renderStatus: ({ event }) => {
      rendered.push(event)
      return undefined
    },
  })
  const { id, path } = await reserve(served.port)
  const stays = await follow(served.port, path, /"reserved"/)
  const leaves = await connectRaw(served.port)
  await leaves.write(requestHead(`GET ${path}/events`))
  await leaves.until(/# reserved; the sender has .* to begin\n.*# reserved; the sender has .* to begin\n/s)
  leaves.reset()
  const heartbeats = () => eventsOf(stays).length
  await until('its heartbeat has ended', async () => {
    const [before, seen] = [rendered.length, heartbeats()]
    await until('the other one has two more', () => heartbeats() >= seen + 2)
    return rendered.length === before
  })
  const told = rendered.length
  const sender = await startUpload(served.port, path, { 'Content-Length': '2' })
  await sender.write('ok')
  expect((await exchange(served.port, requestHead(`GET /${id}`))).body).toBe('ok')
  await stays.until(/"delivered"/)
  expect(rendered.slice(told)).toEqual([])
})

describe('a sender that cannot be given an early response', () => {
  test('is shown what to do instead, before any byte', async () => {
    const { port } = await serve({ ...RESERVING, earlyResponse: false })
    const answer = await exchange(
      port,
      requestHead('POST /', { 'Content-Length': '1000', Expect: '100-continue' }),
    )
    expect(answer).toMatchObject({ status: 409, body: expect.stringMatching(/ \[reservation-required\]\n$/) })
    expect(answer.body).toContain('curl -X POST http://localhost/reserve ')
    expect(answer.body).toContain('curl -fT FILE ADDRESS\n')
  })

  test('may reserve', async () => {
    const served = await serve({ ...RESERVING, earlyResponse: false })
    const { id, path } = await reserve(served.port)
    const sender = await startUpload(served.port, path, { 'Content-Length': '2' })
    await sender.write('ok')
    await untilPhase(served, 'waiting')
    expect((await exchange(served.port, requestHead(`GET /${id}`))).body).toBe('ok')
    expect((await answerOf(sender)).status).toBe(200)
  })

  const CHUNKED = { 'Transfer-Encoding': 'chunked' }
  const VIA = { Via: '1.1 caddy' }
  test.each([
    [{ ...VIA, ...CHUNKED }, {}, 411],
    [{ 'X-Forwarded-For': '1.2.3.4', ...CHUNKED }, {}, 411],
    [{ 'X-Forwarded-Proto': 'https', ...CHUNKED }, {}, 411],
    [{ 'X-Forwarded-Host': 'a.example', ...CHUNKED }, {}, 411],
    [{ Forwarded: 'for=1.2.3.4', ...CHUNKED }, {}, 411],
    [{ ...VIA, ...CHUNKED, Expect: '100-continue' }, {}, 201],
    [{ ...VIA, 'Content-Length': '5' }, {}, 201],
    [{ ...VIA, ...CHUNKED }, { proxyFullDuplex: true }, 201],
    [CHUNKED, {}, 201],
  ])('through a proxy with %j is answered, with the options %j, by %i', async (headers, options, status) => {
    const { port, opened } = await serve(options)
    const peer = await connectRaw(port)
    await peer.write(requestHead('POST /', headers))
    await peer.until(new RegExp(`HTTP/1\\.1 ${status} `))
    if (status === 411)
      await peer.until(
        /--http1\.1 with -H "Expect: 100-continue".*docs\/deploying\.md\. \[length-required\]\n$/s,
      )
    expect(opened).toHaveLength(status === 201 ? 1 : 0)
  })
})

describe('a sender whose body does not come through', () => {
  const uploadOf = (text: string) => /"upload":"http:\/\/localhost(\/uploads\/[^"]+)"/.exec(text)?.[1] ?? ''

  test('goes on by its upload resource, and the receiver notices nothing', async () => {
    const served = await serve(RESERVING)
    const first = await openSender(served.port, { target: 'PUT /name.txt', length: 5 })
    const receiver = await connectReceiver(served.port, first)
    const second = await startUpload(served.port, uploadOf(first.text()), { 'Content-Length': '5' })
    await first.ending()
    expect(eventsOf(first).map(({ event }) => event)).not.toContain('failed')
    await second.write('hello')
    expect(await answerOf(receiver)).toMatchObject({
      status: 200,
      body: 'hello',
      headers: { 'content-disposition': 'attachment; filename="name.txt"' },
    })
    expect((await answerOf(second)).status).toBe(200)
    expect((await untilEnded(served)).map(({ outcome }) => outcome)).toEqual(['delivered'])
  })

  test('may do so before there is a receiver', async () => {
    const served = await serve(RESERVING)
    const first = await openSender(served.port, { length: 2 })
    const second = await startUpload(served.port, uploadOf(first.text()), { 'Content-Length': '2' })
    await first.ending()
    await second.write('ok')
    expect((await exchange(served.port, requestHead(`GET /${first.id}`))).body).toBe('ok')
    expect((await answerOf(second)).status).toBe(200)
  })

  test.each([
    ['after its first byte', 'he', '5'],
    ['with a body of another length', '', '6'],
  ])('cannot do so %s', async (_when, sent, length) => {
    const served = await serve(RESERVING)
    const first = await openSender(served.port, { length: 5 })
    const receiver = await connectReceiver(served.port, first)
    await first.write(sent)
    if (sent !== '') await receiver.until(/he$/)
    expect(
      await exchange(served.port, requestHead(`PUT ${uploadOf(first.text())}`, { 'Content-Length': length })),
    ).toMatchObject({ status: 409, body: expect.stringMatching(/ \[already-open\]\n$/) })
    await first.write('hello'.slice(sent.length))
    expect((await answerOf(receiver)).body).toBe('hello')
    await first.until(/"delivered"/)
  })
})
