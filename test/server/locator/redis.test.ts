import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Locator, Place } from '../../../server/locator/locator.js'
import { openRedisLocator } from '../../../server/locator/redis.js'
import { taggedIds, tagOf } from '../../../server/locator/tagged-ids.js'
import { certificate } from '../../helpers/certificate.js'
import { freePort } from '../../helpers/free-port.js'
import { readPage } from '../../helpers/markdown.js'
import { needsRedis, startRedis, type TestRedis } from '../../helpers/redis.js'
import { run } from '../../helpers/run.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { until } from '../../helpers/within.js'
import { awaited, describeLocator, foundAt, listening, newId } from './contract.js'
import { A, B, join, letRunOut, SECRET, troubled, two, well } from './redis-nodes.js'

beforeEach(needsRedis)

/** As it is built, for a process of its own. */
const LOCATOR = new URL('../../../dist/server/locator/redis.js', import.meta.url).href
const ids = taggedIds('a')

/** All keys in Redis with their values. */
async function contents(redis: TestRedis): Promise<string> {
  const keys = (await redis.cli('KEYS', '*')).split('\n').filter(Boolean).sort()
  const lines: string[] = []
  for (const key of keys) lines.push(`${key} ${await redis.cli('DUMP', key)}`)
  return lines.join('\n')
}

describe('a locator over Redis', () => {
  describeLocator(async () => {
    const redis = await startRedis()
    const all: Locator[] = []
    return {
      join: async (place) => {
        const locator = join(redis.url, place)
        all.push(locator)
        await until('all know of it', () =>
          all.every(({ state }) => state.nodes.some(({ node }) => node === place.node)),
        )
        await well(locator)
        return locator
      },
    }
  })
})

test('nothing in Redis tells an id, a token or the secret', async () => {
  const redis = await startRedis()
  const { a, b } = await two(redis.url)
  const [id, token] = [ids.generate(), 'AbCdEfGhIjKlMnOpQrStUv']
  a.settle('id', id)
  a.settle('token', token)
  await foundAt(b, 'id', id, A)
  await foundAt(b, 'token', token, A)
  const text = await contents(redis)
  for (const secret of [id, id.slice(0, 12), token, SECRET]) expect(text).not.toContain(secret)
  expect((await redis.cli('KEYS', 'ess:socket:*')).length).toBe('ess:socket:'.length + 22)
  // Whoever has another secret is in another cluster.
  const stranger = openRedisLocator({ place: B, redis: { url: redis.url }, secret: 'another' })
  onTestFinished(() => stranger.close())
  await well(stranger)
  expect(stranger.state.nodes).toEqual([B])
  expect(a.state.nodes).toHaveLength(2)
  await foundAt(stranger, 'token', token, undefined)
})

test('everything in Redis ends by itself but the list of nodes', async () => {
  const redis = await startRedis()
  const { a, b } = await two(redis.url)
  const [id, ended, token] = [newId(), newId(), newId()]
  a.settle('id', id)
  a.settle('id', ended)
  a.settle('token', token)
  a.leave('id', ended)
  await foundAt(b, 'token', token, A)
  await foundAt(b, 'id', ended, 'gone')
  for (const key of (await redis.cli('KEYS', '*')).split('\n')) {
    const seconds = Number(await redis.cli('TTL', key))
    if (/^ess:nodes:[\w-]+(?::places|:version)?$/.test(key)) expect(seconds).toBe(-1)
    else expect(seconds).toBeGreaterThan(0)
  }
})

test('a password comes from the URL or from elsewhere; a wrong one is told', async () => {
  const redis = await startRedis('--requirepass', 'p%40ss:wörd')
  const [wrong, own] = [
    join(redis.url, A, { password: 'wrong' }),
    join(redis.url, B, { password: 'p%40ss:wörd' }),
  ]
  await troubled('refuses', wrong)
  await well(own)
  const { port } = redis
  await well(join(`redis://:${encodeURIComponent('p%40ss:wörd')}@127.0.0.1:${port}`, A))
  await well(join(`redis://default:wrong@127.0.0.1:${port}/3`, A, { password: 'p%40ss:wörd' }))
})

test('a token that is late in Redis is never called unknown', async () => {
  const redis = await startRedis()
  const road = await startTcpProxy(redis.port)
  onTestFinished(() => road.close())
  const { a, b } = await two(`redis://127.0.0.1:${road.port}`, redis.url)
  const token = newId()
  await road.strike({ kind: 'delay', ms: 100 })
  a.settle('token', token)
  // If this process was too busy to look again, it can't say.
  expect([A, 'unknown']).toContainEqual(await b.find('token', token))
  await foundAt(b, 'token', newId(), undefined)
})

/** The permissions that docs/operating.md gives to a user of Redis. */
async function permissions(): Promise<readonly string[]> {
  const [, found = ''] = /`(~ess:[^`]+)`/.exec(await readPage('docs/operating.md')) ?? []
  return found.split(' ')
}

test('a user that may do little is enough', async () => {
  const redis = await startRedis()
  await redis.cli('ACL', 'SETUSER', 'ess', 'on', '>pass', ...(await permissions()))
  const { a, b } = await two(`redis://ess:pass@127.0.0.1:${redis.port}`)
  const [id, token, later] = [newId(), newId(), newId()]
  a.settle('id', id)
  a.settle('token', token)
  await foundAt(b, 'token', token, A)
  const counting = await listening([1], a, b)
  a.clients?.hold('client', [1])
  await counting.all('client', [0])
  const waiting = awaited(b, later)
  a.settle('id', later)
  await waiting.found()
  // What is here is renewed when the connection was lost.
  await redis.cli('CLIENT', 'KILL', 'USER', 'ess')
  await until('all is well again', () => a.told.length === 3 && a.counts.owed === 0)
  a.leave('id', id)
  a.leave('token', token)
  await foundAt(b, 'id', id, 'gone')
  await foundAt(b, 'token', token, undefined)
  await b.close()
  await until('a knows that b has left', () => a.state.nodes.length === 1)
  expect(a.told).toEqual([undefined, 'away', undefined])
  expect(await redis.cli('ACL', 'LOG')).toBe('')
})

test('after a connection was lost, missing records are set again, and those of other nodes stay', async () => {
  const redis = await startRedis()
  const { a, b } = await two(redis.url)
  const [lost, moved, ended] = [newId(), newId(), newId()]
  const told: unknown[] = []
  a.moves?.onLost((id, hasEnded) => told.push([id, hasEnded]))
  for (const id of [lost, moved, ended]) a.settle('id', id)
  await until('all are written', () => a.counts.owed === 0)
  const keys = (await redis.cli('KEYS', 'ess:socket:*')).split('\n')
  b.settle('id', moved)
  b.settle('id', ended)
  b.leave('id', ended)
  await until('b has told', () => b.counts.owed === 0)
  const overwritten = await redis.cli('EVAL', OTHERS, '0')
  for (const key of keys) if (!overwritten.includes(key)) await redis.cli('DEL', key)
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await until('both were away', () => a.told.includes('away') && b.told.includes('away'))
  await well(a, b)
  await foundAt(b, 'id', lost, A)
  expect(await a.find('id', moved)).toEqual(B)
  expect(await a.find('id', ended)).toBe('gone')
  // They are not renewed here any more.
  await until('a is told', () => told.length === 2)
  expect(told).toEqual(
    expect.arrayContaining([
      [moved, false],
      [ended, true],
    ]),
  )
  expect(a.counts.settled).toBe(1)
  a.leave('id', moved)
  await until('a has told', () => a.counts.owed === 0)
  expect(await a.find('id', moved)).toEqual(B)
})

/** The records that node a has not written. */
const OTHERS = `local ofA = {}
local places = redis.call('HGETALL', redis.call('KEYS', 'ess:nodes:*:places')[1])
for at = 1, #places, 2 do if string.sub(places[at + 1], 1, 2) == 'a ' then ofA[places[at]] = true end end
local text = ''
for _, key in ipairs(redis.call('KEYS', 'ess:socket:*')) do
  if not ofA[redis.call('GET', key)] then text = text .. key .. ' ' end
end
return text`

test('a node that was missed takes back nothing that another one has had meanwhile, and is told of it', async () => {
  const redis = await startRedis()
  const road = await startTcpProxy(redis.port)
  onTestFinished(() => road.close())
  const { a, b } = await two(`redis://127.0.0.1:${road.port}`, redis.url)
  const lost: unknown[] = []
  a.moves?.onLost((id, hasEnded) => lost.push([id, hasEnded]))
  const [kept, moved, ended, token, keptToken] = [newId(), newId(), newId(), newId(), newId()]
  for (const id of [kept, moved, ended]) a.settle('id', id)
  for (const key of [token, keptToken]) a.settle('token', key)
  await foundAt(b, 'token', keptToken, A)

  await road.close()
  await troubled('away', a)
  // No other node can know of it but by its sender.
  const late = newId()
  a.settle('id', late)
  await letRunOut(redis, 'a')
  await until('a is missed', () => b.state.nodes.length === 1)
  for (const id of [moved, ended, late]) {
    expect(await b.moves?.claim(id)).toBe('mine')
    b.settle('id', id)
  }
  b.leave('id', ended)
  b.settle('token', token)
  await until('b has told', () => b.counts.owed === 0)

  const again = await startTcpProxy(redis.port, road.port)
  onTestFinished(() => again.close())
  await well(a)
  await until('a has told', () => a.counts.owed === 0)
  await until('a is told', () => lost.length === 3)
  expect(lost).toEqual(
    expect.arrayContaining([
      [moved, false],
      [ended, true],
      [late, false],
    ]),
  )
  await foundAt(b, 'id', kept, A)
  await foundAt(b, 'token', keptToken, A)
  for (const id of [moved, late]) expect(await a.find('id', id)).toEqual(B)
  expect(await a.find('token', token)).toEqual(B)
  expect(await a.find('id', ended)).toBe('gone')
  expect(a.counts.settled).toBe(2)
})

test('over TLS, Redis must be the one that its name says', async () => {
  const { path, keyPath, cert } = await certificate()
  const tls = [
    '--tls-port',
    '0',
    '--tls-cert-file',
    path,
    '--tls-key-file',
    keyPath,
    '--tls-ca-cert-file',
    path,
  ]
  const redis = await startRedis(...tls, '--tls-auth-clients', 'no')
  const port = await freePort()
  await redis.cli('CONFIG', 'SET', 'tls-port', String(port))
  const url = `rediss://localhost:${port}`
  const [trusting, wary] = [join(url, A, { ca: cert.toString() }), join(url, B)]
  await well(trusting)
  await troubled('away', wary)
  const id = newId()
  trusting.settle('id', id)
  await foundAt(join(redis.url, B), 'id', id, A)
})

/** A node in a process of its own, whose clock is wrong. It answers by lines. */
async function startNode(url: string, place: Place, clockOffMs: number) {
  const text = `
    import readline from 'node:readline'
    const now = Date.now
    Date.now = () => now() + ${clockOffMs}
    const { openRedisLocator } = await import(${JSON.stringify(LOCATOR)})
    const redis = { url: ${JSON.stringify(url)} }
    const locator = openRedisLocator({ place: ${JSON.stringify(place)}, redis, secret: ${JSON.stringify(SECRET)} })
    for await (const line of readline.createInterface({ input: process.stdin })) {
      const [verb, kind, key, number] = line.split(' ')
      if (verb === 'find') void locator.find(kind, key).then((found) => console.log(JSON.stringify({ number, found })))
      else locator[verb](kind, key)
    }`
  const node = await run(`node ${place.node}`, process.execPath, ['--input-type=module', '-e', text], {
    stdin: 'open',
  })
  let asked = 0
  return {
    node,
    tell: (line: string) => void node.stdin.write(`${line}\n`),
    finds: async (kind: string, key: string) => {
      const number = ++asked
      node.stdin.write(`find ${kind} ${key} ${number}\n`)
      const [, found = ''] = await node.untilStdout(new RegExp(`"number":"${number}"(?:,"found":(.*))?}\n`))
      return found === '' ? undefined : JSON.parse(found)
    },
  }
}

test('nodes whose clocks disagree find each other and their records; one that is killed is missed', async () => {
  const redis = await startRedis()
  const early = await startNode(redis.url, { node: 'early', address: 'e:1' }, -7_200_000)
  const late = await startNode(redis.url, { node: 'late', address: 'l:1' }, 7_200_000)
  const here = join(redis.url, A)
  await until('all know each other', () => here.state.nodes.length === 3)
  const [ofEarly, ofLate, ended] = [newId(), newId(), newId()]
  early.tell(`settle id ${ofEarly}`)
  late.tell(`settle id ${ofLate}`)
  late.tell(`settle id ${ended}`)
  late.tell(`leave id ${ended}`)
  await foundAt(here, 'id', ofEarly, { node: 'early', address: 'e:1' })
  await foundAt(here, 'id', ofLate, { node: 'late', address: 'l:1' })
  await foundAt(here, 'id', ended, 'gone')
  expect(await late.finds('id', ofEarly)).toEqual({ node: 'early', address: 'e:1' })
  expect(await early.finds('id', ofLate)).toEqual({ node: 'late', address: 'l:1' })
  expect(await early.finds('id', ended)).toBe('gone')
  expect(Number(await redis.cli('EVAL', LONGEST, '0'))).toBeLessThanOrEqual(600)

  early.node.kill('SIGKILL')
  await until('the dead node is missed', () => here.state.nodes.length === 2, 25_000)
  expect(await here.find('id', ofEarly)).toBe('between')
  expect(await here.find('id', ofLate)).toEqual({ node: 'late', address: 'l:1' })
  // A link with its tag and without a record may come back as well.
  expect(await here.find('id', taggedIds('early').generate())).toBe('between')
  here.settle('id', ofEarly)
  await until('it is here', async () => (await late.finds('id', ofEarly)).node === 'a')
})

/** The longest time that a record has left. */
const LONGEST = `local most = 0
for _, key in ipairs(redis.call('KEYS', 'ess:socket:*')) do most = math.max(most, redis.call('TTL', key)) end
return most`

test('when no node was heard of for long, Redis was away, and all are still there', async () => {
  const redis = await startRedis()
  const { a, b } = await two(redis.url)
  const fewest = { a: 2, b: 2 }
  const looks = setInterval(() => {
    fewest.a = Math.min(fewest.a, a.state.nodes.length)
    fewest.b = Math.min(fewest.b, b.state.nodes.length)
  }, 5)
  onTestFinished(() => clearInterval(looks))
  const nodes =
    (await redis.cli('KEYS', 'ess:nodes:*')).split('\n').find((key) => key.split(':').length === 3) ?? ''
  const age = `for _, life in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], -60000, life) end
return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]`
  const aged = Number(await redis.cli('EVAL', age, '1', nodes))
  await until(
    'both are heard of again',
    async () =>
      Number((await redis.cli('ZRANGE', nodes, '0', '0', 'WITHSCORES')).split('\n')[1]) > aged + 60_000,
  )
  expect(fewest).toEqual({ a: 2, b: 2 })
})

test('two nodes of one tag are not told apart by it', async () => {
  const redis = await startRedis()
  // Found by trying: both names have the same tag.
  const [one, other] = sameTag()
  const [a, b, c] = [{ node: one, address: 'o:1' }, { node: other, address: 'o:2' }, B].map((place) =>
    join(redis.url, place),
  )
  if (a === undefined || b === undefined || c === undefined) throw new Error('Expected three nodes')
  await until('c knows them', () => c.state.nodes.length === 3)
  const [id, strange] = [taggedIds(one).generate(), taggedIds(one).generate()]
  b.settle('id', id)
  await foundAt(c, 'id', id, { node: other, address: 'o:2' })
  await foundAt(c, 'id', strange, undefined)
  await redis.stop()
  await troubled('away', c)
  expect(await c.find('id', id)).toBe('unknown')
})

function sameTag(): readonly [string, string] {
  const names = new Map<string, string>()
  for (let number = 0; ; number++) {
    const [name, tag] = [`n${number}`, tagOf(`n${number}`)]
    const first = names.get(tag)
    if (first !== undefined) return [first, name]
    names.set(tag, name)
  }
}

test('a place with white space in it is refused at once', () => {
  const open = (place: Place) => () =>
    openRedisLocator({ place, redis: { url: 'redis://127.0.0.1:1' }, secret: SECRET })
  expect(open({ node: 'a b', address: 'a:1' })).toThrow('white space')
  expect(open({ node: 'a', address: '' })).toThrow('white space')
})
