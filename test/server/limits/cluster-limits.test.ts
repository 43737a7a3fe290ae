import { describe, expect, onTestFinished, test } from 'vitest'
import type { ServiceOptions } from '../../../server/index.js'
import { ClusterLimits } from '../../../server/limits/cluster-limits.js'
import type { Locator } from '../../../server/locator/locator.js'
import { MemoryStore } from '../../../server/locator/memory.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { needsRedis, startRedis, type TestRedis } from '../../helpers/redis.js'
import { startSlowProxy } from '../../helpers/slow-proxy.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { until } from '../../helpers/within.js'
import { join as joinRedis, troubled, well } from '../locator/redis-nodes.js'
import { openReceiver, openSender, type Served, serve } from '../serve.js'

/** Nobody has it. */
const UNKNOWN = 'abcdefghijkl'

/** A node of a cluster, with its service. */
interface Node extends Served {
  readonly locator: Locator
  readonly limits: ClusterLimits
}

/** Nodes that count their clients together, by whatever means they know of each other. */
async function nodesOver(locators: readonly Locator[], options: ServiceOptions): Promise<readonly Node[]> {
  return await Promise.all(
    locators.map(async (locator) => {
      const served = await serve({ reservations: true, ...options })
      const { broker } = served
      if (locator.clients === undefined) throw new Error('Expected a locator that counts clients')
      const limits = new ClusterLimits(locator.clients, broker.options, (client, forMs) =>
        broker.shutOut(client, forMs),
      )
      broker.shareClients(limits)
      onTestFinished(() => limits.close())
      return { ...served, locator, limits }
    }),
  )
}

const PLACES = ['a', 'b', 'c'].map((node) => ({ node, address: `${node}:1` }))

const STORES = [
  {
    name: 'in memory',
    start: async () => {
      const store = new MemoryStore()
      return PLACES.map((place) => store.join(place))
    },
  },
  {
    name: 'over Redis',
    start: async () => {
      const redis = await startRedis()
      const locators = PLACES.map((place) => joinRedis(redis.url, place))
      await well(...locators)
      for (const one of locators) await until('all know each other', () => one.state.nodes.length === 3)
      return locators
    },
  },
]

const status = async (port: number, target: string, from?: { from: string }) =>
  (await exchange(port, requestHead(target, { 'Content-Length': '0' }), from)).status

/** Resolves when each node knows, or no longer, that this client has all it may have of a kind. */
async function know(
  kind: 'sockets' | 'reservations',
  isFull: boolean,
  ...nodes: readonly Node[]
): Promise<void> {
  for (const { limits, locator } of nodes)
    await until(`${locator.self} knows`, () => limits.elsewhere(kind).isFull('127.0.0.1') === isFull)
}

describe.each(STORES)('nodes that know of each other $name', ({ name, start }) => {
  const cluster = async (context: Parameters<typeof needsRedis>[0], options: ServiceOptions) => {
    if (name === 'over Redis') needsRedis(context)
    const [a, b, c] = await nodesOver(await start(), options)
    if (a === undefined || b === undefined || c === undefined) throw new Error('Expected three nodes')
    return { a, b, c }
  }

  test('give a client as many sockets as one server would, wherever it opens them', async (context) => {
    const { a, b, c } = await cluster(context, { maxSocketsPerClient: 2 })
    await openSender(a.port, { length: 5 })
    const second = await openSender(b.port, { length: 5 })
    await know('sockets', true, a, b, c)
    for (const { port } of [a, b, c]) expect(await status(port, 'POST /')).toBe(429)
    // Another client has its own.
    expect(await status(c.port, 'POST /reserve', { from: '127.0.0.2' })).toBe(201)
    second.reset()
    await know('sockets', false, a, b, c)
    expect(await status(c.port, 'POST /reserve')).toBe(201)
    await know('sockets', true, a, b, c)
    for (const { port } of [a, b, c]) expect(await status(port, 'POST /reserve')).toBe(429)
  })

  test('give it its reservations together, and forget those of a node that left', async (context) => {
    const { a, b, c } = await cluster(context, { maxReservationsPerClient: 2 })
    for (const { port } of [a, b]) expect(await status(port, 'POST /reserve')).toBe(201)
    await know('reservations', true, a, b, c)
    expect(await status(c.port, 'POST /reserve')).toBe(429)
    await a.locator.close()
    // The next one that ends or comes tells a node so; until then, it asks from time to time.
    await openSender(c.port, { length: 5 })
    await know('reservations', false, c)
    expect(await status(c.port, 'POST /reserve')).toBe(201)
  })

  test('count its misses together', async (context) => {
    const { a, b, c } = await cluster(context, { maxMissesPerClient: 3 })
    expect(await status(a.port, `GET /${UNKNOWN}`)).toBe(404)
    expect(await status(b.port, `GET /${UNKNOWN}`)).toBe(404)
    expect(await status(b.port, `GET /${UNKNOWN}`)).toBe(404)
    for (const { port, locator } of [a, b, c])
      await until(
        `${locator.self} looks nothing up`,
        async () => (await status(port, `GET /${UNKNOWN}`)) === 429,
      )
    expect(await status(c.port, `GET /${UNKNOWN}`, { from: '127.0.0.2' })).toBe(404)
  })
})

test('without a limit, nothing is told', async () => {
  const [a] = await nodesOver(
    PLACES.map((place) => new MemoryStore().join(place)),
    {
      maxSocketsPerClient: 0,
      maxReservationsPerClient: 0,
      maxWaitingPerClient: 0,
      maxMissesPerClient: 0,
    },
  )
  if (a === undefined) throw new Error('Expected a node')
  for (let times = 0; times < 50; times++) expect(await status(a.port, `GET /${UNKNOWN}`)).toBe(404)
  expect(a.service.counts().held).toBe(0)
})

describe('over a Redis that is not well', () => {
  test('each node counts for itself while Redis is away, and together again afterwards', async (context) => {
    needsRedis(context)
    const redis = await startRedis()
    const locators = PLACES.map((place) => joinRedis(redis.url, place))
    await well(...locators)
    const [a, b] = await nodesOver(locators, { maxSocketsPerClient: 2 })
    if (a === undefined || b === undefined) throw new Error('Expected two nodes')
    await openSender(a.port, { length: 5 })
    await redis.stop()
    await troubled('away', ...locators)
    await openSender(a.port, { length: 5 })
    await openSender(b.port, { length: 5 })
    expect(await status(a.port, 'POST /')).toBe(429)
    await redis.start()
    await well(...locators)
    // What each holds is told again.
    await know('sockets', true, a, b)
    expect(await status(b.port, 'POST /reserve')).toBe(429)
  })

  /** Three nodes, of which one has a connection to Redis that can be lost. */
  async function nodesWithOneFarOff(redis: TestRedis, far: string, options: ServiceOptions) {
    const proxy = await startTcpProxy(redis.port)
    onTestFinished(() => proxy.close())
    const url = `redis://127.0.0.1:${proxy.port}`
    const locators = PLACES.map((place) => joinRedis(place.node === far ? url : redis.url, place))
    await well(...locators)
    const [a, b, c] = await nodesOver(locators, options)
    if (a === undefined || b === undefined || c === undefined) throw new Error('Expected three nodes')
    const cut = async () => {
      await proxy.close()
      await troubled('away', ...locators.filter(({ self }) => self === far))
    }
    const mend = async () => {
      const again = await startTcpProxy(redis.port, proxy.port)
      onTestFinished(() => again.close())
    }
    return { a, b, c, cut, mend }
  }

  test('a node that lost its connection learns what it did not hear', async (context) => {
    needsRedis(context)
    const redis = await startRedis()
    const { a, b, c, cut, mend } = await nodesWithOneFarOff(redis, 'c', { maxSocketsPerClient: 2 })
    await openSender(c.port, { length: 5 })
    await until('Redis knows of it', async () => (await redis.cli('KEYS', 'ess:client:*')) !== '')
    await cut()
    const second = await openSender(a.port, { length: 5 })
    await know('sockets', true, a, b)
    expect(c.limits.elsewhere('sockets').isFull('127.0.0.1')).toBe(false)
    await mend()
    await know('sockets', true, c)
    expect(await status(c.port, 'POST /reserve')).toBe(429)
    second.reset()
    await know('sockets', false, a, b, c)
  })

  test('a node that the others took for dead counts again, and all learn it', async (context) => {
    needsRedis(context)
    const redis = await startRedis()
    const { a, b, c, cut, mend } = await nodesWithOneFarOff(redis, 'a', { maxSocketsPerClient: 2 })
    for (let times = 0; times < 2; times++) await openSender(a.port, { length: 5 })
    await know('sockets', true, a, b, c)
    await cut()
    // As if it had not been heard of for 15 s.
    expect(await redis.cli('EVAL', FORGET, '0', 'a')).toBe('1')
    await openReceiver(b.port, `/${UNKNOWN}?wait=60`)
    await know('sockets', false, b, c)
    await mend()
    await know('sockets', true, a, b, c)
  })

  test('all nodes learn what a client has, however late Redis answers the node that it came to', async (context) => {
    needsRedis(context)
    const redis = await startRedis()
    const proxy = await startSlowProxy(redis.port, 0)
    const locators = PLACES.map((place) =>
      joinRedis(place.node === 'b' ? `redis://127.0.0.1:${proxy.port}` : redis.url, place),
    )
    await well(...locators)
    const [a, b, c] = await nodesOver(locators, { maxSocketsPerClient: 2 })
    if (a === undefined || b === undefined || c === undefined) throw new Error('Expected three nodes')
    await openSender(a.port, { length: 5 })
    proxy.delayMs = 300
    const second = await openSender(b.port, { length: 5 })
    await know('sockets', true, a, b, c)
    second.reset()
    await know('sockets', false, a, b, c)
  })

  test('a sender does not wait for it', async (context) => {
    needsRedis(context)
    const redis = await startRedis()
    const proxy = await startSlowProxy(redis.port, 0)
    const locator = joinRedis(`redis://127.0.0.1:${proxy.port}`, { node: 'a', address: 'a:1' })
    await well(locator)
    const [a] = await nodesOver([locator], { maxSocketsPerClient: 50 })
    if (a === undefined) throw new Error('Expected a node')
    await openSender(a.port, { length: 5 })
    proxy.delayMs = 2000
    const startMs = performance.now()
    for (let times = 0; times < 5; times++) await openSender(a.port, { length: 5 })
    expect(performance.now() - startMs).toBeLessThan(1000)
  })
})

/** The nodes of this name are no longer listed. */
const FORGET = `local count = 0
local places = redis.call('KEYS', 'ess:nodes:*:places')[1]
local all = redis.call('HGETALL', places)
for at = 1, #all, 2 do
  if string.match(all[at + 1], '^(%S+)') == ARGV[1] then
    count = count + redis.call('ZREM', string.sub(places, 1, -8), all[at])
    redis.call('HDEL', places, all[at])
  end
end
return count`
