import { describe, expect, test } from 'vitest'
import type { ServiceOptions } from '../../../server/index.js'
import { formatCount } from '../../../shared/index.js'
import { type Answer, exchange, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { until } from '../../helpers/within.js'
import { connectReceiver, openSender, type RawSender, type Served, serve, untilEnded } from '../serve.js'

/** Nobody has it. */
const UNKNOWN = 'abcdefghijkl'
/** Another client than the one that a raw peer is by itself. */
const OTHER = { from: '127.0.0.2' }
const EMPTY = { 'Content-Length': '0' }

type Headers = Readonly<Record<string, string>>

async function ask(port: number, target: string, headers: Headers = {}, from?: { from: string }) {
  return await exchange(port, requestHead(target, headers), from)
}

interface Reserved {
  readonly id: string
  /** The path of its upload resource. */
  readonly path: string
}

async function reserve(port: number, from?: { from: string }): Promise<Reserved> {
  const { body } = await ask(port, 'POST /reserve', { Accept: 'application/json' }, from)
  // Another test looks at its form.
  const { id, upload } = JSON.parse(body) as { id: string; upload: string }
  return { id, path: new URL(upload).pathname }
}

/** The answer to a client that has all of its `most` of these. */
const refusedFor = (what: string, most = 1) => ({
  status: 429,
  headers: { 'retry-after': '30' },
  body: expect.stringMatching(
    new RegExp(
      `^You already have ${formatCount(most, what)} here, the most for one client\\. .* Try again in 30 s\\. \\[over-share\\]\n$`,
    ),
  ),
})

async function untilNothingIsHeld({ service }: Served): Promise<void> {
  await until('every share is given back', () => service.counts().held === 0)
}

describe('a client that has its sockets', () => {
  const SHARE = { maxSocketsPerClient: 2 } satisfies ServiceOptions

  test('is refused one more before its body and before the 100, and another client is not', async () => {
    const { port, service } = await serve(SHARE)
    for (const _ of [1, 2]) await openSender(port, { length: 5 })
    const peer = await connectRaw(port)
    await peer.write(requestHead('POST /', { 'Content-Length': '5', Expect: '100-continue' }))
    expect(await peer.ending()).toBe('fin')
    expect(peer.text()).toMatch(
      /^HTTP\/1\.1 429 .*\r\nRetry-After: 30\r\n.*You already have 2 transfers here, .* Try again in 30 s\. \[over-share\]\n$/s,
    )
    await openSender(port, { length: 5 }, OTHER)
    expect(service.counts()).toMatchObject({ sockets: 3, held: 3 })
  })

  test.each([
    [
      'was delivered',
      async (served: Served, sender: RawSender) => {
        const receiver = await connectReceiver(served.port, sender)
        await sender.write('hello')
        await receiver.ending()
        receiver.end()
      },
    ],
    ['lost its sender', async (_served: Served, sender: RawSender) => sender.reset()],
    [
      'lost its receiver',
      async (served: Served, sender: RawSender) => {
        const receiver = await connectReceiver(served.port, sender)
        receiver.reset()
      },
    ],
    ['was cancelled', async (served: Served, { id }: RawSender) => void served.service.cancel(id)],
  ])('has room for one again when one %s', async (_how, end) => {
    const served = await serve(SHARE)
    await openSender(served.port, { length: 5 })
    await end(served, await openSender(served.port, { length: 5 }))
    await untilEnded(served)
    await openSender(served.port, { length: 5 })
    expect(await ask(served.port, 'POST /', EMPTY)).toMatchObject(refusedFor('transfer', 2))
  })

  test('may receive, ask for help, and be refused for other reasons', async () => {
    const { port } = await serve({ maxSocketsPerClient: 1 })
    const sender = await openSender(port, { length: 0 })
    expect((await ask(port, 'POST /?ttl=0', EMPTY)).status).toBe(400)
    expect((await ask(port, 'GET /')).status).toBe(200)
    expect((await ask(port, `GET /${sender.id}`)).status).toBe(200)
  })

  test('cannot have more by forms that never come to their file', async () => {
    const served = await serve(SHARE)
    const form = { 'Content-Type': 'multipart/form-data; boundary=b', 'Content-Length': '1000' }
    const slow = await Promise.all([1, 2].map(() => connectRaw(served.port)))
    for (const peer of slow) await peer.write(`${requestHead('POST /', form)}--b\r\n`)
    await until('both are read', () => served.service.counts().held === 2)
    expect(await ask(served.port, 'POST /', EMPTY)).toMatchObject(refusedFor('transfer', 2))
    for (const peer of slow) peer.reset()
    await untilNothingIsHeld(served)
  })

  test('has its share back after forms that are refused', async () => {
    const served = await serve({ maxSocketsPerClient: 1 })
    const form = { 'Content-Type': 'multipart/form-data; boundary=b', 'Content-Length': '7' }
    for (const _ of [1, 2, 3])
      expect((await exchange(served.port, `${requestHead('POST /', form)}--b--\r\n`)).body).toMatch(
        /\[no-file-in-form\]\n$/,
      )
    expect(served.service.counts().held).toBe(0)
  })

  test('is not helped by a generator of ids that fails', async () => {
    const ids = { pattern: /x+/, generate: () => 'y' }
    const served = await serve({ ...SHARE, ids, reservations: true })
    for (const target of ['POST /', 'POST /reserve', 'POST /', 'POST /reserve'])
      expect((await ask(served.port, target, EMPTY)).status).toBe(500)
    expect(served.service.counts().held).toBe(0)
  })

  test('0 is no limit', async () => {
    const { port, service } = await serve({ maxSocketsPerClient: 0 })
    await Promise.all(Array.from({ length: 40 }, () => openSender(port, { length: 5 })))
    expect(service.counts()).toMatchObject({ sockets: 40, held: 0 })
  })
})

describe('a client that reserves', () => {
  const RESERVING = { reservations: true, maxReservationsPerClient: 2 } satisfies ServiceOptions

  test('has so many without a sender, and one more when a sender has come', async () => {
    const served = await serve(RESERVING)
    const { port } = served
    const first = await reserve(port)
    await reserve(port)
    expect(await ask(port, 'POST /reserve')).toMatchObject(refusedFor('open reservation', 2))
    await reserve(port, OTHER)
    const upload = await connectRaw(port)
    await upload.write(requestHead(`PUT ${first.path}`, { 'Content-Length': '5' }))
    await until('its sender came', () => served.opened.length === 1)
    await reserve(port)
    expect(await ask(port, 'POST /reserve')).toMatchObject(refusedFor('open reservation', 2))
    // Of one client two reservations and a socket that has its sender, of the other a reservation.
    expect(served.service.counts()).toMatchObject({ sockets: 4, held: 4 + 3 })
  })

  test('has so many again when they have ended', async () => {
    const served = await serve(RESERVING)
    for (const { path } of [await reserve(served.port), await reserve(served.port)])
      expect((await ask(served.port, `DELETE ${path}`)).status).toBe(204)
    await untilNothingIsHeld(served)
    for (const _ of [1, 2]) await reserve(served.port)
    expect(await ask(served.port, 'POST /reserve')).toMatchObject(refusedFor('open reservation', 2))
  })

  test('has them of its sockets, and a refusal costs neither', async () => {
    const served = await serve({ ...RESERVING, maxReservationsPerClient: 1, maxSocketsPerClient: 2 })
    const { path } = await reserve(served.port)
    expect(await ask(served.port, 'POST /reserve')).toMatchObject(refusedFor('open reservation', 1))
    expect(served.service.counts().held).toBe(2)
    await openSender(served.port, { length: 5 })
    expect(await ask(served.port, 'POST /', EMPTY)).toMatchObject(refusedFor('transfer', 2))
    await ask(served.port, `DELETE ${path}`)
  })

  test('pays for it, wherever the sender comes from', async () => {
    const served = await serve({ ...RESERVING, maxSocketsPerClient: 1 })
    const { port } = served
    const { id, path } = await reserve(port)
    const sender = await connectRaw(port, OTHER)
    await sender.write(`${requestHead(`PUT ${path}`, { 'Content-Length': '5' })}hello`)
    await until('its sender came', () => served.opened.length === 1)
    expect(await ask(port, 'POST /', EMPTY)).toMatchObject(refusedFor('transfer', 1))
    const others = await openSender(port, { length: 5 }, OTHER)
    expect((await ask(port, `GET /${id}`)).body).toBe('hello')
    await untilEnded(served)
    expect(served.service.counts().held).toBe(1)
    others.reset()
    await untilNothingIsHeld(served)
  })

  test('gives back once what a sender had that went on by another request', async () => {
    const served = await serve({ reservations: true, maxSocketsPerClient: 1 })
    const first = await openSender(served.port, { length: 5 })
    const [, path = ''] = /"upload":"http:\/\/localhost([^"]+)"/.exec(first.text()) ?? []
    const second = await connectRaw(served.port, OTHER)
    await second.write(requestHead(`PUT ${path}`, { 'Content-Length': '5' }))
    await first.ending()
    expect(served.service.counts().held).toBe(1)
    await second.write('hello')
    expect((await ask(served.port, `GET /${first.id}`)).body).toBe('hello')
    await second.until(/delivered: 5 bytes/)
    expect(served.service.counts()).toMatchObject({ sockets: 0, held: 0 })
    await openSender(served.port, { length: 5 })
    expect(await ask(served.port, 'POST /', EMPTY)).toMatchObject(refusedFor('transfer', 1))
  })
})

describe('a client that waits', () => {
  test.each([
    ['for an id that is not there', () => `GET /${UNKNOWN}?wait=60`, undefined],
    ['for the sender of a reservation', ({ id }: Reserved) => `GET /${id}`, undefined],
    ['for what will become of an upload', ({ path }: Reserved) => `GET ${path}/events`, /reserved/],
  ])('%s does so as often as it may, and again when it has left', async (_what, target, answer) => {
    const served = await serve({ reservations: true, maxWaitingPerClient: 2 })
    const { port, service } = served
    const reserved = await reserve(port, OTHER)
    const base = service.counts().held
    const peers = await Promise.all([1, 2].map(() => connectRaw(port)))
    for (const peer of peers) await peer.write(requestHead(target(reserved)))
    if (answer !== undefined) for (const peer of peers) await peer.until(answer)
    await until('both wait', () => service.counts().held === base + 2)
    expect(await ask(port, target(reserved))).toMatchObject(refusedFor('waiting request', 2))
    const other = await connectRaw(port, OTHER)
    await other.write(requestHead(target(reserved)))
    await until('another client waits too', () => service.counts().held === base + 3)
    for (const peer of [...peers, other]) peer.reset()
    await until('none of them waits', () => service.counts().held === base)
  })

  test('waits no more when its sender came', async () => {
    const served = await serve({ reservations: true, maxWaitingPerClient: 1 })
    const { id, path } = await reserve(served.port)
    const receiver = await connectRaw(served.port)
    await receiver.write(requestHead(`GET /${id}`))
    await until('it waits', () => served.service.counts().held === 3)
    const sender = await connectRaw(served.port)
    await sender.write(requestHead(`PUT ${path}`, { 'Content-Length': '5' }))
    // Its socket is all that is left.
    await until('it is served', () => served.service.counts().held === 1)
    await sender.write('hello')
    await receiver.until(/hello/)
    receiver.end()
    await untilNothingIsHeld(served)
  })
})

describe('a client that guesses', () => {
  const FEW = { maxMissesPerClient: 3, reservations: true } satisfies ServiceOptions
  const GUESSES = [`GET /${UNKNOWN}`, `HEAD /${UNKNOWN}`, 'PUT /uploads/none'] as const

  async function guess(port: number): Promise<void> {
    for (const target of GUESSES) expect((await ask(port, target)).status).toBe(404)
  }

  test('is told nothing any more, whether it is right or wrong', async () => {
    const { port } = await serve(FEW)
    const { id } = await openSender(port, { length: 5 })
    const { path } = await reserve(port)
    await guess(port)
    const answerTo = async (target: string): Promise<Answer> => {
      const { status, headers, body } = await ask(port, target)
      const { date: _date, 'retry-after': again, ...rest } = headers
      expect(Number(again)).toBeGreaterThan(0)
      expect(Number(again)).toBeLessThanOrEqual(60)
      return { status, headers: rest, body }
    }
    for (const [right, wrong] of [
      [`GET /${id}`, `GET /${UNKNOWN}`],
      [`POST /${id}`, `POST /${UNKNOWN}`],
      [`HEAD /${id}`, `HEAD /${UNKNOWN}`],
      [`PUT ${path}`, 'PUT /uploads/none'],
      [`DELETE ${path}`, 'DELETE /uploads/none'],
      [`GET ${path}/events`, 'GET /uploads/none/events'],
    ] as const) {
      const answer = await answerTo(right)
      expect(answer.status).toBe(429)
      expect(answer).toEqual(await answerTo(wrong))
    }
  })

  test('can send all the while, and another client can receive it', async () => {
    const { port } = await serve(FEW)
    await guess(port)
    const sender = await openSender(port, { length: 2 })
    expect(await ask(port, `GET /${sender.id}`)).toMatchObject({
      status: 429,
      body: expect.stringMatching(
        /^You asked 3 times within 60 s for links that do not exist\. .* Try again in \d+ s\. \[too-many-requests\]\n$|^You asked .* Try again in 1 min\. \[too-many-requests\]\n$/,
      ),
    })
    await sender.write('ok')
    expect((await ask(port, `GET /${sender.id}`, {}, OTHER)).body).toBe('ok')
  })

  test('is not who opens a link that is over, or looks at one', async () => {
    const served = await serve({ maxMissesPerClient: 1 })
    const { id, reset } = await openSender(served.port, { length: 5 })
    for (const _ of [1, 2, 3]) expect((await ask(served.port, `HEAD /${id}`)).status).toBe(200)
    reset()
    await untilEnded(served)
    for (const _ of [1, 2, 3]) expect((await ask(served.port, `GET /${id}`)).status).toBe(410)
    expect((await ask(served.port, `GET /${UNKNOWN}`)).status).toBe(404)
    expect((await ask(served.port, `GET /${UNKNOWN}`)).status).toBe(429)
  })

  test('is told of a wait that was in vain, and that counts', async () => {
    const { port } = await serve({ maxMissesPerClient: 1 })
    expect((await ask(port, `GET /${UNKNOWN}?wait=0.01`)).status).toBe(404)
    expect((await ask(port, `GET /${UNKNOWN}?wait=0.01`)).status).toBe(429)
  })
})

describe('what was never there, and what is not yours,', () => {
  test.each([
    ['PUT', ''],
    ['POST', ''],
    ['DELETE', ''],
    ['GET', '/events'],
  ])('are the same to %s /uploads/TOKEN%s', async (method, below) => {
    const { port } = await serve({ reservations: true })
    const kept = await reserve(port)
    const over = await reserve(port)
    expect((await ask(port, `DELETE ${over.path}`)).status).toBe(204)
    const near = `${kept.path.slice(0, -1)}${kept.path.endsWith('A') ? 'B' : 'A'}`
    const answers: Answer[] = []
    for (const path of [over.path, near, '/uploads/none', `/uploads/${kept.id}`]) {
      const { status, headers, body } = await ask(port, `${method} ${path}${below}`, {
        'Content-Length': '1',
      })
      const { date: _date, ...rest } = headers
      answers.push({ status, headers: rest, body })
    }
    expect(answers[0]).toMatchObject({
      status: 404,
      body: 'No upload has this address. Check it for a typo; the upload may also be over. [not-found]\n',
    })
    for (const answer of answers) expect(answer).toEqual(answers[0])
  })

  test('are the same to every client that asks for an id', async () => {
    const served = await serve({ tombstoneTtl: 0, reservations: true })
    const { id, reset } = await openSender(served.port, { length: 5 })
    const near = `${id.slice(0, -1)}${id.endsWith('A') ? 'B' : 'A'}`
    const { path } = await reserve(served.port)
    reset()
    await untilEnded(served)
    await until('its end is forgotten', () => served.service.counts().tombstones === 0)
    const token = path.split('/').at(-1) ?? ''
    for (const method of ['GET', 'HEAD', 'POST']) {
      const answers: Answer[] = []
      for (const one of [UNKNOWN, near, id, token.slice(0, 12).replace(/^[-_]|[-_]$/g, 'x')]) {
        const { status, headers, body } = await ask(served.port, `${method} /${one}`)
        const { date: _date, ...rest } = headers
        answers.push({ status, headers: rest, body })
      }
      expect(answers[0]?.status).toBe(404)
      for (const answer of answers) expect(answer).toEqual(answers[0])
    }
  })
})

describe('headers that any client can write', () => {
  const FORGED = {
    'X-Forwarded-For': '198.51.100.1',
    Forwarded: 'for=198.51.100.2',
    'X-Real-IP': '198.51.100.3',
    'CF-Connecting-IP': '198.51.100.4',
  } as const
  const forged: (readonly [string, Headers])[] = [
    ...Object.entries(FORGED).map(([name, value]) => [name, { [name]: value }] as const),
    ['all of them', FORGED],
  ]

  test.each(forged)('%s makes no client look like another', async (_name, headers) => {
    const { port } = await serve({ maxSocketsPerClient: 1 })
    await openSender(port, { length: 0 })
    expect(await ask(port, 'POST /', { ...EMPTY, ...headers })).toMatchObject(refusedFor('transfer'))
    await openSender(port, { length: 0, headers }, OTHER)
  })

  test.each(forged)('%s takes nothing from whom it names', async (_name, headers) => {
    const { port } = await serve({ maxMissesPerClient: 1, trustProxy: ['127.0.0.9'] })
    expect((await ask(port, `GET /${UNKNOWN}`, headers)).status).toBe(404)
    expect((await ask(port, `GET /${UNKNOWN}`, headers)).status).toBe(429)
    // As a trusted proxy would name the one that was forged.
    for (const address of ['198.51.100.1', '198.51.100.2', '198.51.100.3', '198.51.100.4']) {
      const named = { 'X-Forwarded-For': address }
      expect((await ask(port, `GET /${UNKNOWN}`, named, { from: '127.0.0.9' })).status).toBe(404)
    }
  })

  test('of a proxy that is trusted count from the right, so that what its client wrote does not', async () => {
    const { port } = await serve({ maxSocketsPerClient: 1, trustProxy: ['127.0.0.1'] })
    const through = (forwardedFor: string) =>
      ask(port, 'POST /?ttl=60', { 'Content-Length': '0', 'X-Forwarded-For': forwardedFor })
    await openSender(port, { length: 0, headers: { 'X-Forwarded-For': '192.0.2.7' } })
    for (const same of ['192.0.2.7', '198.51.100.1, 192.0.2.7', '::ffff:192.0.2.7', '127.0.0.1, 192.0.2.7'])
      expect(await through(same), same).toMatchObject(refusedFor('transfer', 1))
    await openSender(port, { length: 0, headers: { 'X-Forwarded-For': '192.0.2.7, 192.0.2.8' } })
    expect((await through('192.0.2.8')).body).not.toContain('proxy')
  })

  test('of one that is not make the refusal say that all behind it are one client', async () => {
    const { port } = await serve({ maxSocketsPerClient: 1, maxMissesPerClient: 1 })
    const headers = { 'X-Forwarded-For': '192.0.2.7' }
    await openSender(port, { length: 0, headers })
    await ask(port, `GET /${UNKNOWN}`, headers)
    for (const target of ['POST /', `GET /${UNKNOWN}`])
      expect((await ask(port, target, { ...EMPTY, 'X-Forwarded-For': '192.0.2.8' })).body).toMatch(
        / You come through a proxy that this server does not trust, so everyone who does counts as one client\. .*--trust-proxy\. /,
      )
    expect((await ask(port, 'POST /', EMPTY)).body).not.toContain('proxy')
  })
})
