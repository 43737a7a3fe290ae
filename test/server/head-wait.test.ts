import { describe, expect, test } from 'vitest'
import { SOCKET_ID_PATTERN } from '../../shared/index.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { until } from '../helpers/within.js'
import { IS_ALONE, openReceiver, openSender, type Served, senderHead, serve } from './serve.js'

const ID = 'abcdefghijkl'
const NOTE = 'c2VhbGVk'

/** A service whose every socket has the same id. */
const serveKnownId = (options: Parameters<typeof serve>[0] = {}) =>
  serve({ reservations: true, ...options, ids: { pattern: SOCKET_ID_PATTERN, generate: () => ID } })

/** Asks, and comes back when the service holds one wait more. */
async function look(served: Served, target = `/${ID}?wait=60`, headers = {}): Promise<RawPeer> {
  const peer = await connectRaw(served.port)
  const { held } = served.broker.counts()
  await peer.write(requestHead(`HEAD ${target}`, headers))
  await until('one more waits', () => served.broker.counts().held === held + 1)
  return peer
}

async function answerOf(peer: RawPeer) {
  await peer.ending()
  peer.end()
  return parseAnswer(peer.text())
}

/** Makes the one reservation, and gives the path of its upload resource. */
async function reserve(port: number, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const { body } = await exchange(
    port,
    requestHead('POST /reserve', { Accept: 'application/json', ...headers }),
  )
  return /"upload":"http:\/\/localhost([^"]+)"/.exec(body)?.[1] ?? ''
}

async function upload(port: number, path: string, headers: Readonly<Record<string, string>> = {}) {
  const peer = await connectRaw(port)
  await peer.write(`${senderHead({ target: `PUT ${path}`, length: 5, headers })}hello`)
  return peer
}

test.each([
  ['?wait=', `/${ID}?wait=60`, {}],
  ['Prefer', `/${ID}/name.txt`, { Prefer: 'wait=60' }],
] as const)(
  'by %s, HEAD waits for a link that is not there yet, and leaves it unused',
  async (_way, target, headers) => {
    const served = await serveKnownId()
    const looking = await look(served, target, headers)
    expect(served.service.counts().awaiting).toBe(1)
    const sender = await openSender(served.port, { length: 5, headers: { 'Ess-Sealed': NOTE } })
    expect(await answerOf(looking)).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-length': '5', 'ess-sealed': NOTE },
    })
    expect(served.service.counts().awaiting).toBe(0)
    await sender.write('hello')
    expect(await exchange(served.port, requestHead(`GET /${ID}`))).toMatchObject({
      status: 200,
      body: 'hello',
    })
    await sender.until(/"delivered"/)
  },
)

test('after its wait HEAD is answered with 404', async () => {
  const served = await serveKnownId()
  expect(await exchange(served.port, requestHead(`HEAD /${ID}?wait=0.05`))).toMatchObject({ status: 404 })
  expect(served.broker.counts()).toMatchObject({ awaiting: 0, held: 0 })
})

test.each(['soon', '-1', ''])('wait=%s is a bad request of HEAD too', async (wait) => {
  const { port } = await serve()
  expect((await exchange(port, requestHead(`HEAD /${ID}?wait=${wait}`))).status).toBe(400)
})

describe('of a reservation', () => {
  test.each([
    ['sealed', { 'Ess-Sealed': NOTE }, 'ess-sealed', NOTE],
    ['a bundle', { 'Ess-Bundle': 'tar;entries=3' }, 'ess-bundle', 'tar;entries=3'],
  ])('that says that it is %s, HEAD is answered at once', async (_what, headers, name, value) => {
    const served = await serveKnownId()
    await reserve(served.port, headers)
    const answer = await exchange(served.port, requestHead(`HEAD /${ID}?wait=60`))
    expect(answer).toMatchObject({ status: 200, headers: { [name]: value } })
  })

  test('that says nothing, HEAD waits for the sender, and then knows', async () => {
    const served = await serveKnownId()
    const path = await reserve(served.port)
    // Without a wait it doesn't.
    const before = await exchange(served.port, requestHead(`HEAD /${ID}`))
    expect(before.status).toBe(200)
    expect(before.headers).not.toHaveProperty('ess-sealed')
    const looking = await look(served)
    const sender = await upload(served.port, path, { 'Ess-Sealed': NOTE })
    expect(await answerOf(looking)).toMatchObject({ status: 200, headers: { 'ess-sealed': NOTE } })
    expect(await exchange(served.port, requestHead(`GET /${ID}`))).toMatchObject({ body: 'hello' })
    await sender.until(/"delivered"/)
    expect(served.broker.counts().held).toBe(0)
  })

  test('whose sender does not come, HEAD is answered after its wait as if it had not waited', async () => {
    const served = await serveKnownId()
    await reserve(served.port)
    const { status, headers } = await exchange(served.port, requestHead(`HEAD /${ID}?wait=0.1`))
    expect({ status, length: headers['content-length'] }).toEqual({ status: 200, length: undefined })
    expect(served.service.sockets()).toMatchObject([{ phase: 'reserved' }])
    // The reservation itself takes two shares until its sender comes.
    expect(served.broker.counts().held).toBe(2)
  })

  test('the wait for the link and the wait for its sender are one', async () => {
    const served = await serveKnownId()
    const startMs = performance.now()
    const looking = await look(served, `/${ID}?wait=1`)
    await reserve(served.port)
    expect(await answerOf(looking)).toMatchObject({ status: 200 })
    expect(performance.now() - startMs).toBeLessThan(1900)
  })

  test('that is cancelled, HEAD is told so', async () => {
    const served = await serveKnownId()
    const path = await reserve(served.port)
    const looking = await look(served)
    await exchange(served.port, requestHead(`DELETE ${path}`))
    expect(await answerOf(looking)).toMatchObject({ status: 410 })
    expect(served.broker.counts().held).toBe(0)
  })

  test('HEAD takes the place of a receiver while it waits, and no longer', async () => {
    const served = await serveKnownId()
    await reserve(served.port)
    // A balancer may still have the connection of that request.
    await until('nothing but the reservation is held', () => served.broker.counts().held === 2)
    const looking: RawPeer[] = []
    for (let many = 0; many < 8; many++) looking.push(await look(served))
    expect(await exchange(served.port, requestHead(`GET /${ID}`))).toMatchObject({
      status: 409,
      body: expect.stringMatching(/^8 receivers are waiting .* \[busy\]\n$/),
    })
    expect((await exchange(served.port, requestHead(`HEAD /${ID}?wait=60`))).status).toBe(409)
    looking.pop()?.reset()
    await until('one has left', () => served.broker.counts().held === 2 + 7)
    await look(served)
    for (const peer of looking) peer.reset()
    await until('only the last one waits', () => served.broker.counts().held === 2 + 1)
  })
})

test.runIf(IS_ALONE)(
  'a HEAD that waits counts as one of the requests that its client may have waiting',
  async () => {
    const served = await serveKnownId({ maxWaitingPerClient: 1 })
    await look(served)
    for (const method of ['HEAD', 'GET'])
      expect((await exchange(served.port, requestHead(`${method} /${ID}?wait=60`))).status).toBe(429)
  },
)

test('a HEAD that waits is told when the server stops', async () => {
  const served = await serveKnownId()
  const looking = await look(served)
  const stopped = served.server.stop(0)
  expect(await answerOf(looking)).toMatchObject({ status: 503 })
  await stopped
})

test('a HEAD that leaves while it waits leaves nothing behind', async () => {
  const served = await serveKnownId()
  const looking = await look(served)
  looking.reset()
  await until('it has left', () => served.broker.counts().held === 0)
  expect(served.service.counts().awaiting).toBe(0)
})

test('a receiver that waits is served, whoever looks beside it', async () => {
  const served = await serveKnownId()
  const path = await reserve(served.port)
  const looking = await look(served)
  const receiver = await openReceiver(served.port, `/${ID}`)
  await until('both wait', () => served.broker.counts().held === 4)
  const sender = await upload(served.port, path)
  await receiver.until(/\r\n\r\nhello$/)
  receiver.end()
  await sender.until(/"delivered"/)
  // It was answered before the receiver was served, or after it.
  expect([200, 409, 410]).toContain((await answerOf(looking)).status)
})
