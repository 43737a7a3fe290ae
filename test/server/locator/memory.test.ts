import { describe, expect, test, vi } from 'vitest'
import { MemoryStore } from '../../../server/locator/memory.js'
import { describeLocator } from './contract.js'

const A = { node: 'a', address: 'a:1' }
const B = { node: 'b', address: 'b:1' }

describe('a locator in memory', () => {
  describeLocator(async () => {
    const store = new MemoryStore()
    return { join: async (place) => store.join(place) }
  })
})

test('a node is told of an id that settles at another one, or that another one may have', () => {
  const store = new MemoryStore()
  const [a, b] = [store.join(A), store.join(B)]
  const lost: unknown[] = []
  a.moves?.onLost((id, hasEnded) => lost.push([id, hasEnded]))
  for (const id of ['settled', 'claimed', 'kept']) a.settle('id', id)
  a.settle('token', 'settled')
  a.settle('id', 'kept')
  b.settle('id', 'settled')
  b.settle('token', 'settled')
  void b.moves?.claim('claimed', A)
  void b.moves?.claim('kept')
  expect(lost).toEqual([
    ['settled', false],
    ['claimed', false],
  ])
})

test('a tombstone lives for ten minutes, and is forgotten then', async () => {
  vi.useFakeTimers()
  try {
    const store = new MemoryStore()
    const [a, b] = [store.join(A), store.join(B)]
    a.settle('id', 'first')
    a.leave('id', 'first')
    vi.advanceTimersByTime(599_999)
    expect(await b.find('id', 'first')).toBe('gone')
    vi.advanceTimersByTime(1)
    expect(await b.find('id', 'first')).toBe(undefined)
    a.settle('id', 'second')
    a.leave('id', 'second')
    expect(store.counts).toEqual({ settled: 0, tombstones: 1, awaited: 0 })
  } finally {
    vi.useRealTimers()
  }
})

test('of more ends than it remembers, the oldest is forgotten', async () => {
  const store = new MemoryStore()
  const [a, b] = [store.join(A), store.join(B)]
  for (let count = 0; count <= 100_000; count++) {
    a.settle('id', `id ${count}`)
    a.leave('id', `id ${count}`)
  }
  expect(store.counts.tombstones).toBe(100_000)
  expect(await b.find('id', 'id 0')).toBe(undefined)
  expect(await b.find('id', 'id 1')).toBe('gone')
})

test('nothing is left of what ended, nor of those who waited', async () => {
  const store = new MemoryStore()
  const [a, b] = [store.join(A), store.join(B)]
  b.onSettled('never', () => undefined)()
  b.onSettled('later', () => undefined)
  b.onSettled('soon', () => undefined)
  a.settle('id', 'soon')
  a.settle('token', 'token')
  expect(store.counts).toEqual({ settled: 2, tombstones: 0, awaited: 1 })
  await b.close()
  a.leave('id', 'soon')
  a.leave('token', 'token')
  expect(store.counts).toEqual({ settled: 0, tombstones: 1, awaited: 0 })
})

test.each([
  [true, 'between', 'between'],
  [false, 'gone', undefined],
])(
  "where its senders may come back: %s, a dead node's links are %s, its tokens %s",
  async (mayComeBack, id, token) => {
    const store = new MemoryStore({ mayComeBack })
    const [a, b] = [store.join(A), store.join(B)]
    a.settle('id', 'link')
    a.settle('token', 'upload')
    await a.close()
    expect(await b.find('id', 'link')).toBe(id)
    expect(await b.find('token', 'upload')).toBe(token)
  },
)

test('a node that has left settles nothing any more', async () => {
  const store = new MemoryStore()
  const [a, b] = [store.join(A), store.join(B)]
  await a.close()
  a.settle('id', 'late')
  expect(await b.find('id', 'late')).toBe(undefined)
  expect(store.counts.settled).toBe(0)
})
