import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Beating, Heartbeats } from '../../../server/answer/heartbeats.js'

const INTERVAL_MS = 3200
/** How late a beat may be, so that many share one wake-up. */
const SLACK_MS = INTERVAL_MS / 32

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** Counts its own beats. */
class Heart implements Beating {
  beats = 0
  beat(): void {
    this.beats++
  }
}

test('each beats once in every interval, counted from its own start', () => {
  const heartbeats = new Heartbeats(INTERVAL_MS)
  const [early, late] = [new Heart(), new Heart()]
  heartbeats.start(early)
  vi.advanceTimersByTime(INTERVAL_MS / 2)
  heartbeats.start(late)
  expect([early.beats, late.beats]).toEqual([0, 0])
  vi.advanceTimersByTime(INTERVAL_MS / 2 + SLACK_MS)
  expect([early.beats, late.beats]).toEqual([1, 0])
  vi.advanceTimersByTime(INTERVAL_MS / 2)
  expect([early.beats, late.beats]).toEqual([1, 1])
  vi.advanceTimersByTime(10 * INTERVAL_MS)
  expect([early.beats, late.beats]).toEqual([11, 11])
})

test('a thousand that came one after the other take one timer, and share its wake-ups', () => {
  const heartbeats = new Heartbeats(INTERVAL_MS)
  const hearts = Array.from({ length: 1000 }, () => new Heart())
  for (const heart of hearts) {
    heartbeats.start(heart)
    vi.advanceTimersByTime(3)
  }
  expect(vi.getTimerCount()).toBe(1)
  const timersSet = vi.spyOn(globalThis, 'setTimeout')
  vi.advanceTimersByTime(INTERVAL_MS + SLACK_MS)
  expect(hearts.every(({ beats }) => beats >= 1)).toBe(true)
  expect(timersSet.mock.calls.length).toBeLessThanOrEqual(33)
})

test('a heartbeat that was stopped beats no more, and without any there is no timer', () => {
  const heartbeats = new Heartbeats(INTERVAL_MS)
  const [one, other] = [new Heart(), new Heart()]
  const [first, second] = [one, other].map((heart) => heartbeats.start(heart))
  heartbeats.stop(first)
  vi.advanceTimersByTime(INTERVAL_MS + SLACK_MS)
  expect([one.beats, other.beats]).toEqual([0, 1])
  heartbeats.stop(second)
  expect(vi.getTimerCount()).toBe(0)
  heartbeats.start(one)
  vi.advanceTimersByTime(INTERVAL_MS + SLACK_MS)
  expect(one.beats).toBe(1)
})

test('a beat may stop others and itself, and start new ones', () => {
  const heartbeats = new Heartbeats(INTERVAL_MS)
  const [third, fresh] = [new Heart(), new Heart()]
  const second = new Heart()
  const first: Beating = {
    beat: () => {
      for (const one of started) heartbeats.stop(one)
      heartbeats.start(fresh)
    },
  }
  const started = [first, second, third].map((one) => heartbeats.start(one))
  vi.advanceTimersByTime(INTERVAL_MS + SLACK_MS)
  expect([second.beats, third.beats, fresh.beats]).toEqual([0, 0, 0])
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(INTERVAL_MS + SLACK_MS)
  expect([second.beats, third.beats, fresh.beats]).toEqual([0, 0, 1])
})
