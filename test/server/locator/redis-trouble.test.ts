import { createServer, type Socket } from 'node:net'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import type { Locator } from '../../../server/locator/locator.js'
import { taggedIds } from '../../../server/locator/tagged-ids.js'
import { listenAdmin } from '../../../server/ops/admin.js'
import { needsRedis, startRedis } from '../../helpers/redis.js'
import { startSlowProxy } from '../../helpers/slow-proxy.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { until } from '../../helpers/within.js'
import { serve } from '../serve.js'
import { awaited, foundAt, newId } from './contract.js'
import { A, B, join, type Node, troubled, two, well } from './redis-nodes.js'

beforeEach(needsRedis)

const ids = taggedIds('a')

/** What a search found, and how long it took. */
async function timed(locator: Locator, kind: 'id' | 'token', key: string) {
  const startMs = performance.now()
  const found = await locator.find(kind, key)
  return { found, ms: performance.now() - startMs }
}

/** What holds while Redis can't be asked, for ids that node a made. */
async function expectLastKnown(b: Node, id: string) {
  for (const [kind, key, expected] of [
    ['id', id, A],
    ['id', taggedIds('strange').generate(), 'unknown'],
    ['id', taggedIds('b').generate(), 'unknown'],
    ['token', newId(), 'unknown'],
  ] as const) {
    const { found, ms } = await timed(b, kind, key)
    expect([kind, key, found]).toEqual([kind, key, expected])
    expect(ms).toBeLessThan(250)
  }
}

test('while Redis is stopped, links find their node by their tag; when it comes back empty, all is set again', async () => {
  const redis = await startRedis()
  const { a, b } = await two(redis.url)
  const [before, during, ended, token, later] = [ids.generate(), ids.generate(), newId(), newId(), newId()]
  a.settle('id', before)
  a.settle('token', token)
  a.settle('id', ended)
  await foundAt(b, 'id', ended, A)

  await redis.stop()
  await troubled('away', a, b)
  a.settle('id', during)
  a.leave('id', ended)
  const waiting = awaited(b, later)
  a.settle('id', later)
  await expectLastKnown(b, before)
  await expectLastKnown(b, during)
  expect(b.state.nodes).toEqual(expect.arrayContaining([A, B]))
  expect(waiting.times()).toBe(0)
  expect(a.counts.owed).toBeGreaterThan(0)

  await redis.start()
  await well(a, b)
  await waiting.found()
  for (const id of [before, during, later]) await foundAt(b, 'id', id, A)
  await foundAt(b, 'token', token, A)
  await foundAt(b, 'id', ended, 'gone')
  expect(waiting.times()).toBe(1)
  expect(a.told).toEqual([undefined, 'away', undefined])
  await until('nothing is owed', () => a.counts.owed === 0)
})

test('/ready and /metrics say what is wrong with Redis', async () => {
  const redis = await startRedis()
  const { a, b } = await two(redis.url)
  const { broker } = await serve()
  const admin = await listenAdmin(broker, { host: '127.0.0.1', port: 0 }, undefined, b)
  onTestFinished(() => admin.close())
  admin.ready()
  const body = async (path: string) => (await fetch(new URL(path, admin.url))).text()
  const [id, ended] = [newId(), newId()]
  a.settle('id', id)
  a.settle('id', ended)
  a.leave('id', ended)
  await foundAt(b, 'id', ended, 'gone')
  const searches = async () =>
    [...(await body('/metrics')).matchAll(/^ess_cluster_searches_total{found="(\w+)"} (\d+)$/gm)].map(
      ([, found, count]) => [found, Number(count)] as const,
    )
  const before = new Map(await searches())
  for (const key of [id, id, id, ended, newId(), newId()]) await b.find('id', key)
  const grown = (await searches()).map(([found, count]) => [found, count - (before.get(found) ?? 0)])
  expect(Object.fromEntries(grown)).toEqual({ record: 3, tag: 0, gone: 1, unknown: 0, none: 2 })
  b.settle('token', newId())
  expect(await body('/ready')).toBe('ready\n')
  expect(await body('/metrics')).toMatch(/^ess_cluster_nodes 2$/m)
  await redis.stop()
  await troubled('away', b)
  b.settle('token', newId())
  await b.find('id', ids.generate())
  await b.find('token', newId())
  const metrics = await body('/metrics')
  for (const line of [
    'ess_cluster_nodes 2',
    'ess_cluster_store_trouble{trouble="away"} 1',
    'ess_cluster_store_trouble{trouble="full"} 0',
    'ess_cluster_settled 2',
    'ess_cluster_owed_records 1',
    'ess_cluster_searches_total{found="tag"} 1',
    'ess_cluster_searches_total{found="unknown"} 1',
  ])
    expect(metrics).toContain(`\n${line}\n`)
  const ready = await fetch(new URL('/ready', admin.url))
  expect([ready.status, await ready.text()]).toEqual([
    200,
    "degraded: the cluster's Redis can't be reached\n",
  ])
  await redis.start()
  await well(b)
  expect(await body('/ready')).toBe('ready\n')
})

test('a node that starts before Redis does works alone, and joins when Redis is there', async () => {
  const redis = await startRedis()
  await redis.stop()
  const [a, b] = [join(redis.url, A), join(redis.url, B)]
  const id = newId()
  a.settle('id', id)
  expect(await b.find('id', id)).toBe('unknown')
  expect(a.state).toEqual({ isWell: false, trouble: 'away', nodes: [A] })
  await redis.start()
  await well(a, b)
  await foundAt(b, 'id', id, A)
})

test('records that Redis loses while it runs are set again, and until then it is not known what there was', async () => {
  const redis = await startRedis()
  const { a, b } = await two(redis.url)
  const token = newId()
  a.settle('token', token)
  await foundAt(b, 'token', token, A)
  await redis.cli('FLUSHALL')
  await until('b notices', async () => (await b.find('token', newId())) === 'unknown')
  await foundAt(b, 'token', token, A)
  await until('all is told again', async () => (await b.find('token', newId())) === undefined)
})

test('a full Redis still finds what it knows, and takes the rest when there is room', async () => {
  const redis = await startRedis('--maxmemory-policy', 'noeviction')
  const { a, b } = await two(redis.url)
  const [before, during, tokenBefore, token, ended] = [
    newId(),
    ids.generate(),
    newId(),
    newId(),
    ids.generate(),
  ]
  a.settle('id', before)
  a.settle('id', ended)
  a.settle('token', tokenBefore)
  await foundAt(b, 'token', tokenBefore, A)
  await redis.cli('CONFIG', 'SET', 'maxmemory', '1')

  a.settle('token', token)
  a.settle('id', during)
  a.leave('id', ended)
  await troubled('full', a, b)
  expect(await b.find('id', before)).toEqual(A)
  expect(await b.find('token', tokenBefore)).toEqual(A)
  expect(await b.find('id', during)).toEqual(A)
  expect(await b.find('token', token)).toBe('unknown')
  // Node a itself says that it has ended.
  expect(await b.find('id', ended)).toEqual(A)

  await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
  await well(a, b)
  await foundAt(b, 'token', token, A)
  await foundAt(b, 'id', ended, 'gone')
  expect(a.state.nodes).toHaveLength(2)
})

test('a Redis that takes 2 s is not waited for, but learns everything', async () => {
  const redis = await startRedis()
  const proxy = await startSlowProxy(redis.port, 0)
  const { a, b } = await two(redis.url, `redis://127.0.0.1:${proxy.port}`)
  proxy.delayMs = 2000
  // The first one to ask is the first one to notice.
  const first = await timed(b, 'id', ids.generate())
  expect(first).toMatchObject({ found: A })
  expect(first.ms).toBeLessThan(250)
  await troubled('slow', b)
  const own = newId()
  b.settle('id', own)
  const restMs: number[] = []
  for (let times = 0; times < 50; times++) restMs.push((await timed(b, 'id', ids.generate())).ms)
  expect(Math.max(...restMs)).toBeLessThan(50)
  await expectLastKnown(b, ids.generate())
  await foundAt(a, 'id', own, B)
  expect(b.state.trouble).toBe('slow')

  proxy.delayMs = 0
  await well(b)
  await foundAt(b, 'id', newId(), undefined)
})

test('a Redis that hangs is given up, and found again', async () => {
  const redis = await startRedis()
  const { a, b } = await two(redis.url)
  const id = ids.generate()
  a.settle('id', id)
  await foundAt(b, 'id', id, A)
  redis.freeze()
  // The first searches of all find it out, and what they were asked for may be there.
  const [{ found, ms }, ...others] = await Promise.all([
    timed(b, 'id', id),
    timed(b, 'token', newId()),
    timed(b, 'id', newId()),
  ])
  expect(found).toEqual(A)
  expect(others.map((other) => other.found)).toEqual(['unknown', 'unknown'])
  expect(ms).toBeLessThan(250)
  await troubled('slow', b)
  await troubled('away', b)
  const during = ids.generate()
  a.settle('id', during)
  await expectLastKnown(b, during)
  redis.thaw()
  await well(a, b)
  await foundAt(b, 'id', id, A)
  await foundAt(b, 'id', during, A)
})

test('a network that swallows everything is no Redis', async () => {
  const redis = await startRedis()
  const proxy = await startTcpProxy(redis.port)
  onTestFinished(() => proxy.close())
  const { b } = await two(redis.url, `redis://127.0.0.1:${proxy.port}`)
  await proxy.strike({ kind: 'black-hole' })
  await troubled('away', b)
  await expectLastKnown(b, ids.generate())
})

/** Speaks as much of Redis's protocol as it takes to let a client in, and refuses the rest. */
async function startRefusing(refusal: string, letsIn: boolean): Promise<string> {
  const clients = new Set<Socket>()
  const server = createServer((client) => {
    clients.add(client)
    let lines = ['']
    client.on('error', () => client.destroy())
    client.on('data', (chunk) => {
      // None of our arguments has such a line end in it.
      lines = (lines.join('\r\n') + chunk.toString('latin1')).split('\r\n')
      for (;;) {
        const length = 1 + 2 * Number(lines[0]?.slice(1) || Number.NaN)
        // The last line hasn't ended.
        if (!(lines.length > length)) return
        const [, , command] = lines.splice(0, length)
        client.write(letsIn && command === 'HELLO' ? '%1\r\n+proto\r\n:3\r\n' : `-${refusal}\r\n`)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    for (const client of clients) client.destroy()
  })
  const address = server.address()
  return `redis://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
}

test.each([
  ['refuses every command', 'ERR something is broken', true],
  ['is still loading', 'LOADING Redis is loading the dataset in memory', true],
  ['became a replica', "READONLY You can't write against a read only replica.", true],
  ['lets nobody in', 'NOAUTH HELLO must be called with the client already authenticated', false],
])('a Redis that %s', async (_what, refusal, letsIn) => {
  const url = await startRefusing(refusal, letsIn)
  const [a, b] = [join(url, A), join(url, B)]
  await troubled('refuses', a, b)
  const id = newId()
  a.settle('id', id)
  const waiting = awaited(b, id)
  const { found, ms } = await timed(b, 'id', id)
  expect(found).toBe('unknown')
  expect(ms).toBeLessThan(250)
  // Some pulses later, it is still the same.
  await until('it was asked again', () => a.counts.commands > 10 || !letsIn)
  expect(a.state.trouble).toBe('refuses')
  expect(waiting.times()).toBe(0)
  expect(a.counts.owed).toBe(1)
  // On a busy machine, an answer may be late as well.
  expect(a.told).not.toContain(undefined)
})

test('10,000 sockets are all there again soon after Redis has lost them', async () => {
  const redis = await startRedis()
  const { a, b } = await two(redis.url)
  const keys = Array.from({ length: 10_000 }, newId)
  for (const key of keys) a.settle('id', key)
  await until('all are written', () => a.counts.owed === 0)
  await redis.stop()
  await redis.start()
  await well(a, b)
  await until('all are written again', async () => Number(await redis.cli('DBSIZE')) >= 10_000)
  await until('nothing is owed', () => a.counts.owed === 0)
  for (const key of [keys[0], keys[5_000], keys[9_999]]) expect(await b.find('id', key ?? '')).toEqual(A)
})
