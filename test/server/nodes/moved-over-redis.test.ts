import { beforeEach, expect, onTestFinished, test } from 'vitest'
import type { Place } from '../../../server/locator/locator.js'
import { openRedisLocator, RedisLocator } from '../../../server/locator/redis.js'
import { measureService } from '../../../server/ops/metrics.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { needsRedis, startRedis, type TestRedis } from '../../helpers/redis.js'
import { startSlowProxy } from '../../helpers/slow-proxy.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { until } from '../../helpers/within.js'
import { letRunOut } from '../locator/redis-nodes.js'
import { openSender } from '../serve.js'
import {
  askToReopen,
  expectMoved,
  FILE,
  GOES_BACK,
  GOES_ON,
  goOn,
  head,
  LENGTH,
  LONG_DRAIN_MS,
  midway,
  receive,
  reopen,
  streaming,
  type Three,
  three,
  untilBusy,
  uploadOf,
  whole,
} from './moving.js'

beforeEach(needsRedis)

/** Three nodes over a Redis, which know each other. */
async function overRedis(): Promise<Three & { redis: TestRedis }> {
  const redis = await startRedis()
  return { redis, ...(await overUrl(redis.url)) }
}

/** `addressOf` is where a node says that it can be reached. */
async function overUrl(
  url: string | ((node: string) => string),
  addressOf = ({ address }: Place) => address,
): Promise<Three> {
  const locate = ({ node, address }: Place) => {
    const place = { node, address: addressOf({ node, address }) }
    const locator = openRedisLocator({
      place,
      redis: { url: typeof url === 'string' ? url : url(node) },
      secret: 'the secret of this test',
    })
    onTestFinished(() => locator.close())
    return locator
  }
  const nodes = await three({ maxSocketsPerClient: 1000 }, { locate })
  for (const { node } of Object.values(nodes))
    await until(
      `${node.locator.self} knows all`,
      () => node.locator.state.isWell && node.locator.state.nodes.length === 3,
    )
  return nodes
}

/** Asks for a link as often as it has to: while Redis is too late for a request, or was away just now, the answer is 503. */
async function served(port: number, id: string) {
  return await until('the receiver is served', async () => {
    const answer = await exchange(port, requestHead(`GET /${id}`))
    return answer.status !== 503 && answer
  })
}

async function untilAway(...nodes: readonly Three['a'][]): Promise<void> {
  for (const { node } of nodes) await until('Redis is away', () => node.locator.state.trouble === 'away')
}

async function untilWell(...nodes: readonly Three['a'][]): Promise<void> {
  for (const { node } of nodes) await until('Redis is well', () => node.locator.state.isWell)
}

test('a transfer under way goes on at another node, its receiver at a third one', async () => {
  const { a, b, c } = await overRedis()
  const [metricsOfA, metricsOfB] = [metricsOf(a), metricsOf(b)]
  const { sender, receiver, upload } = await streaming(a)
  void a.broker.stop(LONG_DRAIN_MS)
  await expectMoved(sender)
  expect(await receiver.ending()).toBe('rst')
  // Until the store knows, the node that stops says that it has let the link go: 503.
  await until('the store knows', async () => (await c.node.find('id', sender.id)) === 'between')
  const back = await receive(c.port, sender.id, { Range: 'bytes=4-' })
  await until('it is held', () => c.broker.counts().awaiting === 1)
  const again = await reopen(b.port, upload, sender.id, { ...LENGTH, ...midway(5) })
  await untilBusy(b, sender.id)
  await goOn(c.port, await currentOf(c.port, again), 4)
  expect(await whole(back)).toMatchObject({ status: 206, body: FILE.slice(4) })
  await until('b knows', () => b.ends.length === 1)
  expect(await metricsOfA.text()).toMatch(/^ess_transfers_total\{outcome="moved",gear="\w+"\} 1$/m)
  const told = await metricsOfB.text()
  expect(told).toMatch(/^ess_transfers_total\{outcome="delivered",gear="\w+"\} 1$/m)
  expect(told).toMatch(/^ess_reopenings_total 1$/m)
  // Those that came here.
  expect(told).toMatch(/^ess_relayed_bytes_total 6$/m)
})

/** The metrics of a node, as its operator sees them. */
function metricsOf({ broker, node: { locator } }: Three['a']) {
  if (!(locator instanceof RedisLocator)) throw new Error('Expected a locator over Redis')
  return measureService(broker, undefined, locator)
}

/** Where a sender has to go on: its upload resource may have another address since. */
async function currentOf(port: number, upload: string): Promise<string> {
  const location = (await head(port, upload)).headers['location']
  return location === undefined ? upload : new URL(location).pathname
}

test('a link that is opened again at two nodes at once stays open at one', async () => {
  const { a, b, c } = await overRedis()
  const senders = await Promise.all(
    Array.from({ length: 20 }, () => openSender(a.port, { length: FILE.length, headers: GOES_BACK })),
  )
  void a.broker.stop(LONG_DRAIN_MS)
  await Promise.all(senders.map(expectMoved))
  for (const sender of senders) {
    await Promise.all([b, c, b, c].map(({ port }) => reopen(port, uploadOf(sender), sender.id, LENGTH)))
    // At once, unless Redis was too late for a request.
    await until('one has it', () => b.broker.counts().sockets + c.broker.counts().sockets === 1)
    const upload = await reopen(c.port, uploadOf(sender), sender.id, LENGTH)
    expect(await reopen(b.port, uploadOf(sender), sender.id, LENGTH)).toBe(upload)
    await goOn(b.port, upload, 0)
    expect(await served(c.port, sender.id)).toMatchObject({ status: 200, body: FILE })
    await until('it has ended', () => b.broker.counts().sockets + c.broker.counts().sockets === 0)
  }
  const outcomes = [...b.ends, ...c.ends].map(({ outcome }) => outcome)
  expect(outcomes.filter((outcome) => outcome !== 'moved')).toEqual(senders.map(() => 'delivered'))
})

test('with Redis away, a link may be opened at two nodes, and when it is back, one gives it up', async () => {
  const { a, b, c, redis } = await overRedis()
  const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
  await redis.stop()
  await untilAway(a, b, c)
  void a.broker.stop(LONG_DRAIN_MS)
  await expectMoved(sender)
  const uploads = {
    b: await reopen(b.port, uploadOf(sender), sender.id, LENGTH),
    c: await reopen(c.port, uploadOf(sender), sender.id, LENGTH),
  }
  const waiting = { b: await goOn(b.port, uploads.b, 0), c: await goOn(c.port, uploads.c, 0) }
  await redis.start()
  await untilWell(b, c)
  await until('one has it', () => b.broker.counts().sockets + c.broker.counts().sockets === 1)
  const [winner, loser] = b.broker.counts().sockets === 1 ? (['b', 'c'] as const) : (['c', 'b'] as const)
  await waiting[loser].until(/^HTTP\/1\.1 503 [\s\S]* \[moved\]\n/)
  for (const { port } of [b, c])
    expect(await reopen(port, uploads[loser], sender.id, LENGTH)).toBe(uploads[winner])
  expect(await served(b.port, sender.id)).toMatchObject({ status: 200, body: FILE })
  await waiting[winner].until(/^HTTP\/1\.1 200 /)
  const ends = { b: b.ends, c: c.ends }
  expect(ends[loser].map(({ outcome }) => outcome)).toEqual(['moved'])
})

test('with Redis away, a link that was opened again and has ended is over when Redis is back', async () => {
  const { a, b, c, redis } = await overRedis()
  const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
  await redis.stop()
  await untilAway(a, b, c)
  void a.broker.stop(LONG_DRAIN_MS)
  await expectMoved(sender)
  const upload = await reopen(b.port, uploadOf(sender), sender.id, LENGTH)
  const receiver = await receive(b.port, sender.id)
  await goOn(b.port, upload, 0)
  expect(await whole(receiver)).toMatchObject({ body: FILE })
  await until('it has ended', () => b.broker.counts().sockets === 0)
  await redis.start()
  await untilWell(b, c)
  await until('c knows', async () => (await c.node.find('id', sender.id)) === 'gone')
  expect((await askToReopen(c.port, uploadOf(sender), sender.id, LENGTH)).status).toBe(410)
})

test('with Redis away, a node that stops says itself that it has let a link go', async () => {
  const { a, b, c, redis } = await overRedis()
  const { sender, receiver, upload } = await streaming(a)
  await redis.stop()
  await untilAway(a, b, c)
  void a.broker.stop(LONG_DRAIN_MS)
  await expectMoved(sender)
  await receiver.ending()
  // The tag of the link names a, which is there and knows better.
  expect((await exchange(c.port, requestHead(`GET /${sender.id}`))).status).toBe(503)
  const again = await reopen(b.port, upload, sender.id, { ...LENGTH, ...midway(5) })
  const back = await receive(b.port, sender.id, { Range: 'bytes=5-' })
  await untilBusy(b, sender.id)
  await redis.start()
  await untilWell(b, c)
  await until('c knows where the link is', async () => (await head(c.port, again)).status === 204)
  await goOn(c.port, again, 5)
  expect(await whole(back)).toMatchObject({ status: 206, body: FILE.slice(5) })
})

test('with Redis away, a link is opened again whose node is not there any more', async () => {
  const { a, b, redis } = await overRedis()
  const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
  await redis.stop()
  await untilAway(a, b)
  await a.node.close()
  const again = await reopen(b.port, uploadOf(sender), sender.id, LENGTH)
  const receiver = await receive(b.port, sender.id)
  await goOn(b.port, again, 0)
  expect(await whole(receiver)).toMatchObject({ body: FILE })
})

test('while Redis is well, a node that can’t be reached may still have its link', async () => {
  const redis = await startRedis()
  // Its heartbeats go on, but no one listens there.
  const { a, b } = await overUrl(redis.url, ({ node, address }) =>
    node === 'node-0' ? '127.0.0.1:1' : address,
  )
  const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
  await until('b finds the link', async () => typeof (await b.node.find('id', sender.id)) === 'object')
  const answer = await askToReopen(b.port, uploadOf(sender), sender.id, LENGTH)
  expect([answer.status, answer.headers['retry-after']]).toEqual([503, '5'])
  expect(b.broker.counts().sockets).toBe(0)
})

test('a Redis that is slow keeps no sender from opening its link again', async () => {
  const redis = await startRedis()
  const proxy = await startSlowProxy(redis.port, 0)
  const { a, b } = await overUrl(`redis://127.0.0.1:${proxy.port}`)
  const sender = await openSender(a.port, { length: FILE.length, headers: GOES_ON })
  proxy.delayMs = 2000
  void a.broker.stop(LONG_DRAIN_MS)
  await expectMoved(sender)
  const again = await reopen(b.port, uploadOf(sender), sender.id, { ...LENGTH, 'Ess-Resume': '?1' })
  const receiver = await receive(b.port, sender.id)
  await goOn(b.port, again, 0)
  expect(await whole(receiver)).toMatchObject({ body: FILE })
})

test('a node that was cut off gives up the links that were opened again meanwhile', async () => {
  const redis = await startRedis()
  const road = await startTcpProxy(redis.port)
  onTestFinished(() => road.close())
  const { a, b, c } = await overUrl((node) =>
    node === 'node-0' ? `redis://127.0.0.1:${road.port}` : redis.url,
  )
  const open = () => openSender(a.port, { length: FILE.length, headers: GOES_BACK })
  const [own, ended] = [await open(), await open()]
  // One for a receiver at each node.
  const links = await Promise.all([a, b, c].map(async ({ port }) => ({ port, sender: await open() })))

  await road.close()
  await untilAway(a)
  await letRunOut(redis, 'node-0')
  for (const { node } of [b, c]) await until('a is missed', () => node.locator.state.nodes.length === 2)
  for (const { sender } of links)
    await goOn(b.port, await reopen(b.port, uploadOf(sender), sender.id, LENGTH), 0)
  const upload = await reopen(c.port, uploadOf(ended), ended.id, LENGTH)
  const receiver = await receive(c.port, ended.id)
  await goOn(c.port, upload, 0)
  expect(await whole(receiver)).toMatchObject({ body: FILE })
  await until('it has ended', () => c.broker.counts().sockets === 0)
  expect(a.broker.counts().sockets).toBe(5)

  const again = await startTcpProxy(redis.port, road.port)
  onTestFinished(() => again.close())
  await untilWell(a)
  await until('a has only its own link', () => a.broker.counts().sockets === 1)
  for (const { sender } of links) await expectMoved(sender)
  await expectMoved(ended)
  for (const { port, sender } of links)
    expect(await served(port, sender.id)).toMatchObject({ status: 200, body: FILE })
  await until('all have ended', () => b.broker.counts().sockets === 0)
  await own.write(FILE)
  expect(await served(c.port, own.id)).toMatchObject({ status: 200, body: FILE })
  await until('this one too', () => a.broker.counts().sockets === 0)
  for (const { sender } of [...links, { sender: ended }])
    for (const { port } of [a, b, c])
      expect((await exchange(port, requestHead(`GET /${sender.id}`))).status).toBe(410)
  // It doesn't have to ask for this one.
  expect(() => a.broker.inspect(ended.id)).toThrow(/This transfer is over/)
})
