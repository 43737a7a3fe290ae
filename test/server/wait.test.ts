import { describe, expect, test } from 'vitest'
import { SOCKET_ID_PATTERN } from '../../shared/index.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { until } from '../helpers/within.js'
import {
  bodyOf,
  chunk,
  IS_ALONE,
  LAST_CHUNK,
  openReceiver,
  openSender,
  type Served,
  serve,
  untilEnded,
} from './serve.js'

const ID = 'abcdefghijkl'

/** A service whose every socket has the same id. */
const serveKnownId = (options: Parameters<typeof serve>[0] = {}) =>
  serve({ ...options, ids: { pattern: SOCKET_ID_PATTERN, generate: () => ID } })

const untilAwaiting = (served: Served, receivers: number) =>
  until(`${receivers} receivers wait`, () => served.service.counts().awaiting === receivers)

const WAYS = [
  ['?wait=', `/${ID}?wait=60`, {}],
  ['?wait= with a name', `/${ID}/name.txt?a=b&wait=60.5`, {}],
  ['Prefer', `/${ID}`, { Prefer: 'wait=60' }],
  ['Prefer among other preferences', `/${ID}`, { Prefer: 'respond-async, wait = "60"; x' }],
] as const

describe.each(WAYS)('an early receiver that waits by %s', (_way, target, headers) => {
  test('gets the bytes of the sender that comes', async () => {
    const served = await serveKnownId()
    const answer = exchange(served.port, requestHead(`GET ${target}`, headers))
    await untilAwaiting(served, 1)
    const sender = await openSender(served.port, { length: 5 })
    await sender.write('hello')
    expect(await answer).toMatchObject({ status: 200, body: 'hello' })
    await sender.until(/"event":"delivered"/)
    expect(served.service.counts()).toMatchObject({ awaiting: 0, sockets: 0 })
  })
})

test.each([
  ['the wait that was asked for', {}, `/${ID}?wait=0.05`],
  ["the server's TTL, where more was asked for", { ttl: 0.05 }, `/${ID}?wait=100000`],
])('nobody comes, and after %s the answer is 404', async (_what, options, target) => {
  const served = await serveKnownId(options)
  const answer = await exchange(served.port, requestHead(`GET ${target}`))
  expect(answer).toMatchObject({ status: 404, body: expect.stringMatching(/ \[not-found\]\n$/) })
  expect(served.service.counts().awaiting).toBe(0)
})

test.each([
  ['a receiver that does not ask to wait', `/${ID}`, {}],
  ['wait=0', `/${ID}?wait=0`, {}],
  ['a preference that cannot be read', `/${ID}`, { Prefer: 'wait=soon' }],
  ['what cannot be an id', '/short?wait=60', {}],
  ['what cannot be an id, with a name', '/short/name?wait=60', {}],
])('nobody waits for %s', async (_what, target, headers) => {
  const { port } = await serve()
  expect(await exchange(port, requestHead(`GET ${target}`, headers))).toMatchObject({ status: 404 })
})

test.each(['soon', '-1', '', '1e3', 'Infinity', '1,5'])('wait=%s is a bad request', async (wait) => {
  const { port } = await serve()
  expect(await exchange(port, requestHead(`GET /${ID}?wait=${wait}`))).toMatchObject({
    status: 400,
    body: `The wait must be a number of seconds, such as 60, not ${JSON.stringify(wait)}. [bad-request]\n`,
  })
})

test('a receiver that leaves while it waits leaves nothing behind', async () => {
  const served = await serveKnownId()
  const first = await openReceiver(served.port, `/${ID}?wait=60`)
  const second = await openReceiver(served.port, `/${ID}?wait=60`)
  await untilAwaiting(served, 2)
  first.reset()
  await untilAwaiting(served, 1)
  second.end()
  await untilAwaiting(served, 0)
})

test('a receiver that left burns nothing: the next one gets the bytes', async () => {
  const served = await serveKnownId()
  const early = await openReceiver(served.port, `/${ID}?wait=60`)
  await untilAwaiting(served, 1)
  early.reset()
  await untilAwaiting(served, 0)
  const sender = await openSender(served.port, { length: 2 })
  await sender.write('ok')
  expect(await exchange(served.port, requestHead(`GET /${ID}`))).toMatchObject({ status: 200, body: 'ok' })
})

test('of two early receivers the first gets the bytes and the other is told that it came too late', async () => {
  const served = await serveKnownId()
  const first = await openReceiver(served.port, `/${ID}?wait=60`)
  await untilAwaiting(served, 1)
  const second = exchange(served.port, requestHead(`GET /${ID}?wait=60`))
  await untilAwaiting(served, 2)
  const sender = await openSender(served.port)
  await sender.write(chunk('mine'))
  // From other nodes, each comes when that one has heard of the socket, so the second one may be the first to get it.
  await Promise.race([first.until(/\[busy\]/), second])
  await sender.write(LAST_CHUNK)
  await first.ending()
  first.end()
  const answers = [parseAnswer(first.text()), await second]
  if (!IS_ALONE) answers.sort((one, other) => one.status - other.status)
  expect(answers).toMatchObject([
    { status: 200, body: 'mine' },
    { status: 409, body: expect.stringMatching(/ \[busy\]\n$/) },
  ])
  await sender.until(/"event":"delivered"/)
})

test.runIf(IS_ALONE)('no more receivers may wait than there may be sockets', async () => {
  const served = await serve({ maxSockets: 1 })
  await openReceiver(served.port, `/${ID}?wait=60`)
  await untilAwaiting(served, 1)
  expect(await exchange(served.port, requestHead(`GET /${ID}?wait=60`))).toMatchObject({
    status: 503,
    headers: { 'retry-after': '30' },
    body: expect.stringMatching(/ \[too-many-sockets\]\n$/),
  })
})

test('an early receiver is told when the server stops', async () => {
  const served = await serve()
  const receiver = await openReceiver(served.port, `/${ID}?wait=60`)
  await untilAwaiting(served, 1)
  const stopped = served.server.stop(0)
  expect(await receiver.ending()).toBe('fin')
  expect(parseAnswer(receiver.text())).toMatchObject({
    status: 503,
    body: expect.stringMatching(/ \[shutting-down\]\n$/),
  })
  await stopped
})

describe.runIf(IS_ALONE)('an id', () => {
  const OTHER = 'mnopqrstuvwx'

  test('that is taken is drawn again', async () => {
    const drawn = [ID, ID, ID, OTHER]
    const { port } = await serve({ ids: { pattern: SOCKET_ID_PATTERN, generate: () => drawn.shift() ?? '' } })
    expect((await openSender(port)).id).toBe(ID)
    expect((await openSender(port)).id).toBe(OTHER)
  })

  test('that has lately ended is drawn again, so that an old link never gives a new file', async () => {
    const drawn = [ID, ID, OTHER]
    const served = await serve({ ids: { pattern: SOCKET_ID_PATTERN, generate: () => drawn.shift() ?? '' } })
    ;(await openSender(served.port)).reset()
    await untilEnded(served)
    expect((await openSender(served.port)).id).toBe(OTHER)
  })

  test('can be had again when its end is forgotten', async () => {
    const served = await serveKnownId({ tombstoneTtl: 0 })
    ;(await openSender(served.port)).reset()
    await untilEnded(served)
    expect((await openSender(served.port)).id).toBe(ID)
  })

  test('that is always taken is a bug of the generator, and costs only the request', async () => {
    const served = await serveKnownId()
    await openSender(served.port)
    const answer = await exchange(served.port, requestHead('POST /', { 'Content-Length': '0' }))
    expect(answer).toMatchObject({ status: 500, body: expect.stringMatching(/ \[internal-error\]\n$/) })
    expect(served.refused).toEqual(['internal-error'])
    expect(served.service.counts().sockets).toBe(1)
  })
})

test.runIf(IS_ALONE)('an end is remembered for a while, and then the id is unknown', async () => {
  const served = await serveKnownId({ tombstoneTtl: 1, ttl: 0.001 })
  const sender = await openSender(served.port)
  await sender.ending()
  const head = requestHead(`GET /${ID}`)
  const first = await exchange(served.port, head)
  expect(first).toMatchObject({
    status: 410,
    body: expect.stringMatching(/^This link expired before anyone used it\. .* \[gone\]\n$/),
  })
  await until('the id is forgotten', async () => (await exchange(served.port, head)).status === 404)
  expect(served.service.counts().tombstones).toBe(0)
})

test('a link that was used says so', async () => {
  const { port } = await serveKnownId()
  const sender = await openSender(port, { length: 0 })
  const receiver = await openReceiver(port, `/${ID}`)
  await receiver.until(/\r\n\r\n$/)
  expect(bodyOf(receiver)).toBe('')
  receiver.end()
  await sender.until(/"event":"delivered"/)
  expect(await exchange(port, requestHead(`GET /${ID}`))).toMatchObject({
    status: 410,
    // Another node knows that it is over, and not why.
    body: IS_ALONE
      ? 'This link worked once and has been used. Ask the sender for a new one. [gone]\n'
      : expect.stringMatching(/ \[gone\]\n$/),
  })
})
