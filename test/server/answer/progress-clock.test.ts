import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ProgressClock, type Ticking } from '../../../server/answer/progress-clock.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

class Counter implements Ticking {
  ticks = 0
  tick(): void {
    this.ticks++
  }
}

test('each is called four times a second until it stops, all by one timer, which ends when none is left', () => {
  const clock = new ProgressClock()
  const [first, second] = [new Counter(), new Counter()]
  const counts = () => [first.ticks, second.ticks]
  const entries = [first, second].map((one) => clock.start(one))
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(1000)
  expect(counts()).toEqual([4, 4])
  clock.stop(entries[0])
  vi.advanceTimersByTime(1000)
  expect(counts()).toEqual([4, 8])
  clock.stop(entries[1])
  vi.advanceTimersByTime(250)
  expect(vi.getTimerCount()).toBe(0)
  clock.start(first)
  vi.advanceTimersByTime(250)
  expect(counts()).toEqual([5, 8])
})
