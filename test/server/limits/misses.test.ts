import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { Misses } from '../../../server/limits/misses.js'

beforeEach(() => {
  vi.useFakeTimers()
  // The faked time of a process begins at 0, which the library takes for no time at all.
  vi.advanceTimersByTime(1)
  return () => void vi.useRealTimers()
})

const refusal = (most: number, seconds: number) => `${most} in ${seconds} s`

/** True where `client` may ask. */
function mayAsk(misses: Misses, client: string): boolean {
  try {
    misses.check(client, refusal)
    return true
  } catch {
    return false
  }
}

/** What a client that may not ask is refused with. */
function refusalOf(misses: Misses, client: string): unknown {
  try {
    misses.check(client, refusal)
  } catch (error) {
    return error
  }
  throw new Error(`Expected ${client} to be refused`)
}

test('no client is checked before one has missed as often as it may, nor when that is over', () => {
  const misses = new Misses(2)
  expect(misses.isAnyoneOut).toBe(false)
  miss(misses, 'a', 1)
  miss(misses, 'b', 1)
  misses.check('a', refusal)
  expect(misses.isAnyoneOut).toBe(false)
  vi.advanceTimersByTime(1000)
  miss(misses, 'a', 1)
  expect(mayAsk(misses, 'a')).toBe(false)
  expect(misses.isAnyoneOut).toBe(true)
  vi.advanceTimersByTime(58_999)
  expect(misses.isAnyoneOut).toBe(true)
  vi.advanceTimersByTime(1)
  expect(misses.isAnyoneOut).toBe(false)
})

function miss(misses: Misses, client: string, times: number): void {
  for (let count = 0; count < times; count++) misses.count(client)
}

test('a client may miss as often as it may, and is told when it may ask again', () => {
  const misses = new Misses(3)
  miss(misses, 'a', 2)
  expect(mayAsk(misses, 'a')).toBe(true)
  vi.advanceTimersByTime(19_500)
  miss(misses, 'a', 1)
  expect(refusalOf(misses, 'a')).toMatchObject({
    code: 'too-many-requests',
    status: 429,
    message: '3 in 60 s',
    // The minute began with its first miss; a part of a second is a whole one.
    retryAfter: 41,
  })
  vi.advanceTimersByTime(40_499)
  expect(refusalOf(misses, 'a')).toMatchObject({ retryAfter: 1 })
  vi.advanceTimersByTime(1)
  expect(mayAsk(misses, 'a')).toBe(true)
})

test('it has as many again in the next minute', () => {
  const misses = new Misses(3)
  miss(misses, 'a', 3)
  vi.advanceTimersByTime(60_001)
  miss(misses, 'a', 2)
  expect(mayAsk(misses, 'a')).toBe(true)
  miss(misses, 'a', 1)
  expect(mayAsk(misses, 'a')).toBe(false)
})

test('what one client misses is nothing to another', () => {
  const misses = new Misses(1)
  miss(misses, 'a', 5)
  expect([mayAsk(misses, 'a'), mayAsk(misses, 'b')]).toEqual([false, true])
})

test('asking alone is no miss', () => {
  const misses = new Misses(1)
  for (let times = 0; times < 100; times++) misses.check('a', refusal)
  expect(mayAsk(misses, 'a')).toBe(true)
})

test('without a limit every client may ask, and nothing is remembered', () => {
  const misses = new Misses(0)
  miss(misses, 'a', 1000)
  expect(mayAsk(misses, 'a')).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})

test('of more clients than it remembers it forgets the one whose last miss is the oldest', () => {
  const misses = new Misses(1)
  miss(misses, 'first', 1)
  miss(misses, 'second', 1)
  for (let other = 0; other < 9_998; other++) miss(misses, `other ${other}`, 1)
  expect(mayAsk(misses, 'first')).toBe(false)
  miss(misses, 'first', 1)
  miss(misses, 'one more', 1)
  expect([mayAsk(misses, 'first'), mayAsk(misses, 'second')]).toEqual([false, true])
})

test('a whole /48 of IPv6 leaves no more behind than it remembers', () => {
  vi.useRealTimers()
  const set = vi.spyOn(globalThis, 'setTimeout')
  const cleared = vi.spyOn(globalThis, 'clearTimeout')
  onTestFinished(() => void vi.restoreAllMocks())
  const misses = new Misses(1)
  for (let network = 0; network < 65_536; network++) misses.count(`2001:db8:0:${network.toString(16)}::/64`)
  // The library has a timer for each client that it counts, and forgets it with that.
  expect(set.mock.calls.length - cleared.mock.calls.length).toBe(10_000)
})

test('a clock that is set, back or forward, changes nothing', () => {
  const misses = new Misses(1)
  miss(misses, 'a', 1)
  for (const hours of [-2, 2]) {
    vi.setSystemTime(Date.now() + hours * 3_600_000)
    expect(refusalOf(misses, 'a')).toMatchObject({ retryAfter: 60 })
    expect(misses.isAnyoneOut).toBe(true)
  }
  vi.advanceTimersByTime(60_000)
  expect(mayAsk(misses, 'a')).toBe(true)
})

test('after a minute nothing is left', () => {
  const misses = new Misses(1)
  for (const client of ['a', 'b', 'c']) misses.count(client)
  expect(vi.getTimerCount()).toBe(3)
  vi.advanceTimersByTime(60_001)
  expect(vi.getTimerCount()).toBe(0)
})
