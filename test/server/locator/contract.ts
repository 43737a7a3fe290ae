import { expect, onTestFinished, test } from 'vitest'
import type { Claimed, Found, Kind, Locator, Place } from '../../../server/locator/locator.js'
import { withResolvers } from '../../../server/node/with-resolvers.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

/** How a cluster of locators is made, for the tests that each kind of locator must pass. */
export interface Cluster {
  /** A node joins it. Resolves when all nodes know of it. */
  join(place: Place): Promise<Locator>
}

const A: Place = { node: 'a', address: '10.0.0.1:7001' }
const B: Place = { node: 'b', address: '10.0.0.2:7001' }
const C: Place = { node: 'c', address: 'c.example.org:7001' }

/** Resolves when a node says so of a key. A node may learn of another's keys a moment later. */
export async function foundAt(locator: Locator, kind: Kind, key: string, expected: Found): Promise<void> {
  let last: Found
  try {
    await until(`${locator.self} finds ${kind} ${key}`, async () => {
      last = await locator.find(kind, key)
      return JSON.stringify(last) === JSON.stringify(expected)
    })
  } catch (cause) {
    throw new Error(`Expected ${JSON.stringify(expected)} for ${kind} ${key}, got ${JSON.stringify(last)}`, {
      cause,
    })
  }
}

/** Waits for an id. Stops when the test is over. */
export function awaited(locator: Locator, id: string) {
  const { promise, resolve } = withResolvers<void>()
  let times = 0
  const stop = locator.onSettled(id, () => {
    times++
    resolve()
  })
  onTestFinished(stop)
  return {
    stop,
    times: () => times,
    found: () => within(DEADLINE_MS, `${locator.self} is told of ${id}`, promise),
  }
}

let lastId = 0

/** An id that no other test has: all may share one store. */
export function newId(): string {
  return `Id${String(++lastId).padStart(10, '0')}`
}

/** Each of the nodes counts clients by these limits, three misses among them. */
export async function listening(most: readonly number[], ...nodes: readonly Locator[]) {
  const listeners = nodes.map((node) => {
    /** The kinds of which each client has all. */
    const full = new Map<string, Set<number>>()
    const out = new Map<string, number>()
    clientsOf(node).listen({
      most,
      mostMisses: 3,
      windowSeconds: 60,
      isFull: (kind, client) => full.get(client)?.has(kind) === true,
      full: () => full.keys(),
      setFull: (kind, client, isFull) => {
        const kinds = full.get(client) ?? new Set()
        full.set(client, kinds)
        if (isFull) kinds.add(kind)
        else kinds.delete(kind)
      },
      shutOut: (client, forMs) => out.set(client, forMs),
    })
    return { node, full, out }
  })
  // A node hears the others a moment after it began to listen.
  const first = newId()
  for (const { node } of listeners) clientsOf(node).missed(first)
  for (const { node, out } of listeners)
    await until(`${node.self} listens`, () => {
      clientsOf(node).missed(first)
      return out.has(first)
    })
  return {
    nodes: listeners,
    /** Resolves when all of these nodes know that the client has all it may have of these kinds, and of no other. */
    all: async (client: string, kinds: readonly number[], ...some: readonly Locator[]) => {
      for (const { node, full } of listeners)
        if (some.length === 0 || some.includes(node))
          await until(
            `${node.self} knows that the client has all of [${kinds}]`,
            () => [...(full.get(client) ?? [])].sort().join() === kinds.join(),
          )
    },
  }
}

/** Tests that hold for every kind of locator; some of them not for one that has a parent for the rest. */
export function describeLocator(start: () => Promise<Cluster>, isWhole = true): void {
  async function three() {
    const cluster = await start()
    return {
      cluster,
      a: await cluster.join(A),
      b: await cluster.join(B),
      c: await cluster.join(C),
    }
  }

  test.each(['id', 'token'] as const)('every other node finds the node that an %s is on', async (kind) => {
    const { a, b, c } = await three()
    const key = newId()
    a.settle(kind, key)
    await foundAt(b, kind, key, A)
    await foundAt(c, kind, key, A)
  })

  test('no node has an id or a token that was never settled', async () => {
    const { b } = await three()
    await foundAt(b, 'id', newId(), undefined)
    await foundAt(b, 'token', newId(), undefined)
  })

  test('an id is no token, and a token no id', async () => {
    const { a, b } = await three()
    const [id, token] = [newId(), newId()]
    a.settle('id', id)
    a.settle('token', token)
    await foundAt(b, 'id', id, A)
    await foundAt(b, 'token', token, A)
    await foundAt(b, 'token', id, undefined)
    await foundAt(b, 'id', token, undefined)
  })

  test('what a node has told is found at once', async () => {
    const { a, b } = await three()
    const tokens = Array.from({ length: 20 }, newId)
    for (const token of tokens) a.settle('token', token)
    await a.whenKnown()
    // All at once, so that none of them is found only because it was asked for late.
    const found = await Promise.all(tokens.map((token) => b.find('token', token)))
    expect(found.map((place) => (typeof place === 'object' ? place.node : place))).toEqual(
      tokens.map(() => 'a'),
    )
  })

  test('an id that has ended is gone, and a token that has ended was never there', async () => {
    const { a, b } = await three()
    const [id, token] = [newId(), newId()]
    a.settle('id', id)
    a.settle('token', token)
    await foundAt(b, 'token', token, A)
    a.leave('id', id)
    a.leave('token', token)
    await foundAt(b, 'id', id, 'gone')
    await foundAt(b, 'token', token, undefined)
  })

  test('an id that ends at once is gone', async () => {
    const { a, b } = await three()
    const id = newId()
    a.settle('id', id)
    a.leave('id', id)
    await foundAt(b, 'id', id, 'gone')
  })

  test('to leave what was never settled changes nothing', async () => {
    const { a, b, c } = await three()
    const [strange, others] = [newId(), newId()]
    b.settle('id', others)
    await foundAt(c, 'id', others, B)
    a.leave('id', strange)
    a.leave('id', others)
    // In the order in which it was told: this comes after both.
    const last = newId()
    a.settle('id', last)
    await foundAt(c, 'id', last, A)
    await foundAt(c, 'id', strange, undefined)
    expect(await c.find('id', others)).toEqual(B)
  })

  test('a receiver that waits is told once, on whatever node the id settles', async () => {
    const { a, b } = await three()
    for (const owner of [a, b]) {
      const id = newId()
      const waiting = [awaited(a, id), awaited(b, id), awaited(b, id)]
      owner.settle('id', id)
      await Promise.all(waiting.map(({ found }) => found()))
      expect(waiting.map(({ times }) => times())).toEqual([1, 1, 1])
    }
  })

  test('a receiver that waits for an id that is there already is told too', async () => {
    const { a, b } = await three()
    const id = newId()
    a.settle('id', id)
    await foundAt(b, 'id', id, A)
    const waiting = awaited(b, id)
    expect(waiting.times()).toBe(0)
    await waiting.found()
  })

  test('a receiver that stopped waiting is not told, and does not stop others', async () => {
    const { a, b } = await three()
    const id = newId()
    const [gone, patient] = [awaited(b, id), awaited(b, id)]
    gone.stop()
    gone.stop()
    a.settle('id', id)
    await patient.found()
    expect(gone.times()).toBe(0)
  })

  test('a receiver that begins to wait as another one stops is told', async () => {
    const { a, b } = await three()
    const [id, before] = [newId(), newId()]
    const gone = awaited(b, id)
    // In the order in which it was asked: b is told of the first id by now.
    a.settle('id', before)
    await foundAt(b, 'id', before, A)
    gone.stop()
    const next = awaited(b, id)
    // Both have arrived, as this has.
    await foundAt(b, 'id', id, undefined)
    await foundAt(b, 'id', id, undefined)
    a.settle('id', id)
    await next.found()
    expect(gone.times()).toBe(0)
  })

  test('a receiver is not told of a token', async () => {
    const { a, b } = await three()
    const key = newId()
    const waiting = awaited(b, key)
    a.settle('token', key)
    await foundAt(b, 'token', key, A)
    expect(waiting.times()).toBe(0)
  })

  test('the nodes are those that joined and have not left', async () => {
    const { a, b, c } = await three()
    const names = (locator: Locator) => locator.state.nodes.map(({ node }) => node).sort()
    for (const one of [a, b, c]) {
      expect(one.state).toMatchObject({ isWell: true, trouble: undefined })
      await until(`${one.self} knows all`, () => names(one).join() === 'a,b,c')
      expect(one.state.nodes).toEqual(expect.arrayContaining([A, B, C]))
    }
    await b.close()
    await until('a knows that b has left', () => names(a).join() === 'a,c')
  })

  /** Where ids go on at other nodes, the sender of such a one may come back. */
  const lost = isWhole ? 'between' : 'gone'

  test(`what was on a node that left is ${lost}`, async () => {
    const { a, b } = await three()
    const [id, ended] = [newId(), newId()]
    a.settle('id', id)
    a.settle('id', ended)
    a.leave('id', ended)
    await foundAt(b, 'id', ended, 'gone')
    await a.close()
    await foundAt(b, 'id', id, lost)
    expect(await b.find('id', ended)).toBe('gone')
  })

  test('what was on a node that left is found where it settles again', async () => {
    const { cluster, a, b, c } = await three()
    const id = newId()
    a.settle('id', id)
    await foundAt(b, 'id', id, A)
    await a.close()
    await foundAt(b, 'id', id, lost)
    c.settle('id', id)
    await foundAt(b, 'id', id, C)
    const again = await cluster.join(A)
    expect(await again.find('id', id)).toEqual(C)
    again.leave('id', id)
    expect(await b.find('id', id)).toEqual(C)
  })

  if (!isWhole) return

  test('of what a node has let go, it is not known where it is', async () => {
    const { a, b, c } = await three()
    const [id, token] = [newId(), newId()]
    a.settle('id', id)
    a.settle('token', token)
    await foundAt(b, 'token', token, A)
    movesOf(a).letGo('id', id)
    movesOf(a).letGo('token', token)
    for (const one of [a, b, c]) {
      await foundAt(one, 'id', id, 'between')
      await foundAt(one, 'token', token, 'between')
    }
  })

  test('what a node has let go is found where it settles again', async () => {
    const { a, b, c } = await three()
    const [id, token] = [newId(), newId()]
    a.settle('id', id)
    a.settle('token', token)
    await foundAt(b, 'token', token, A)
    const waiting = awaited(c, id)
    await waiting.found()
    movesOf(a).letGo('id', id)
    movesOf(a).letGo('token', token)
    await foundAt(b, 'token', token, 'between')
    const late = awaited(c, id)
    b.settle('id', id)
    b.settle('token', token)
    await late.found()
    await foundAt(a, 'id', id, B)
    await foundAt(c, 'token', token, B)
    // It comes too late.
    movesOf(a).letGo('id', id)
    movesOf(a).letGo('token', token)
    a.leave('id', id)
    const last = newId()
    a.settle('id', last)
    await foundAt(c, 'id', last, A)
    expect([await c.find('id', id), await c.find('token', token)]).toEqual([B, B])
  })

  test('an id that was let go, and one that was never anywhere, belongs to the node that claims it', async () => {
    const { a, b, c } = await three()
    const [free, left] = [newId(), newId()]
    a.settle('id', left)
    await foundAt(b, 'id', left, A)
    movesOf(a).letGo('id', left)
    await foundAt(b, 'id', left, 'between')
    for (const id of [free, left]) {
      expect(await claim(b, id)).toBe('mine')
      expect(await claim(b, id)).toBe('mine')
      expect(await claim(c, id)).toEqual(B)
      expect(await c.find('id', id)).toEqual(B)
    }
  })

  test('an id that a node has, or that is gone, belongs to no other', async () => {
    const { a, b } = await three()
    const [here, ended] = [newId(), newId()]
    a.settle('id', here)
    a.settle('id', ended)
    a.leave('id', ended)
    await foundAt(b, 'id', ended, 'gone')
    expect(await claim(b, here)).toEqual(A)
    expect(await claim(b, ended)).toBe('gone')
    expect(await b.find('id', here)).toEqual(A)
    expect(await b.find('id', ended)).toBe('gone')
  })

  test('an id whose node says that it has let it go belongs to the node that claims it, and not that of another one', async () => {
    const { a, b, c } = await three()
    const id = newId()
    a.settle('id', id)
    await foundAt(b, 'id', id, A)
    expect(await claim(b, id, C)).toEqual(A)
    expect(await claim(b, id, A)).toBe('mine')
    expect(await claim(c, id, A)).toEqual(B)
    // It says so at last.
    movesOf(a).letGo('id', id)
    const last = newId()
    a.settle('id', last)
    await foundAt(c, 'id', last, A)
    expect(await c.find('id', id)).toEqual(B)
  })

  test('of nodes that claim an id at the same time, one gets it', async () => {
    const { a, b, c } = await three()
    const places = { a: A, b: B, c: C }
    const id = newId()
    const claimed = await Promise.all([a, b, c].map((one) => claim(one, id)))
    const winner = [a, b, c][claimed.indexOf('mine')]
    expect(winner).toBeDefined()
    const place = places[winner?.self as 'a']
    expect(claimed).toEqual([a, b, c].map((one) => (one === winner ? 'mine' : place)))
  })

  test('those who wait for an id are not told that it was claimed, but that it has settled', async () => {
    const { a, b } = await three()
    const id = newId()
    const waiting = awaited(b, id)
    expect(await claim(a, id)).toBe('mine')
    expect(waiting.times()).toBe(0)
    a.settle('id', id)
    await waiting.found()
    expect(waiting.times()).toBe(1)
  })

  test('what was on a node that left can be claimed', async () => {
    const { a, b, c } = await three()
    const id = newId()
    a.settle('id', id)
    await foundAt(b, 'id', id, A)
    await a.close()
    await foundAt(b, 'id', id, 'between')
    expect(await claim(b, id)).toBe('mine')
    expect(await claim(c, id)).toEqual(B)
  })

  test('all nodes learn when a client has all it may have, or no longer', async () => {
    const { a, b, c } = await three()
    const counting = await listening([3, 1, 0], a, b, c)
    const client = newId()
    const holds = (node: Locator, ...held: readonly number[]) => clientsOf(node).hold(client, held)
    holds(a, 1, 0, 9)
    holds(b, 2, 0, 0)
    await counting.all(client, [0])
    holds(c, 0, 1, 0)
    await counting.all(client, [0, 1])
    holds(a, 0, 0, 0)
    await counting.all(client, [1])
    holds(c, 1, 0, 0)
    await counting.all(client, [0])
    const other = newId()
    clientsOf(c).hold(other, [3, 0, 0])
    await counting.all(other, [0])
    await counting.all(client, [0])
  })

  test('of nodes that take at the same time, all learn that it was too much', async () => {
    const { a, b, c } = await three()
    const counting = await listening([3], a, b, c)
    for (let times = 0; times < 20; times++) {
      const client = newId()
      for (const one of [a, b, c]) clientsOf(one).hold(client, [1])
      await counting.all(client, [0])
      // What each node was told last is what is true, in whatever order they let go.
      for (const one of [c, a, b]) clientsOf(one).hold(client, [0])
      await counting.all(client, [])
    }
  })

  test('what a client held at a node that left does not count, as the next node to tell something learns', async () => {
    const { a, b, c } = await three()
    const counting = await listening([5], a, b, c)
    const client = newId()
    clientsOf(a).hold(client, [5])
    await counting.all(client, [0])
    await a.close()
    clientsOf(b).hold(client, [1])
    await counting.all(client, [], b, c)
  })

  test('misses of a client count together, wherever it missed', async () => {
    const { a, b, c } = await three()
    const counting = await listening([1], a, b, c)
    const [client, other] = [newId(), newId()]
    clientsOf(a).missed(client)
    clientsOf(b).missed(client)
    clientsOf(b).missed(other)
    clientsOf(c).missed(client)
    for (const { node, out } of counting.nodes) {
      const forMs = await until(`${node.self} lets it look nothing up`, () => out.get(client))
      expect(forMs).toBeGreaterThan(30_000)
      expect(forMs).toBeLessThanOrEqual(60_000)
      expect(out.has(other)).toBe(false)
    }
  })
}

function clientsOf({ clients, self }: Locator) {
  if (clients === undefined) throw new Error(`${self} counts no clients`)
  return clients
}

/** Claims an id. On a busy machine the store may answer too late for a request, which says nothing of the id. */
async function claim(locator: Locator, id: string, letGoBy?: Place): Promise<Claimed> {
  let claimed: Claimed = 'unknown'
  await until(`${locator.self} claims ${id}`, async () => {
    claimed = await movesOf(locator).claim(id, letGoBy)
    return claimed !== 'unknown'
  })
  return claimed
}

function movesOf({ moves, self }: Locator) {
  if (moves === undefined) throw new Error(`${self} lets nothing go`)
  return moves
}
