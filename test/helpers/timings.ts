import { onTestFinished, vi } from 'vitest'
import { timings } from '../../server/node/timings.js'

type Timing = keyof typeof timings

/** Makes the server in this process wait for less, or for longer, until the test is over. */
export function setTimings(others: Partial<Record<Timing, number>>): void {
  const before = { ...timings }
  Object.assign(timings, others)
  onTestFinished(() => void Object.assign(timings, before))
}

/** Longer than any test, and no other timer's. */
const HELD_MS = 7_654_321

/** Holds back the timers of one timing: they go off when the test says so. All others run as ever. */
export function holdTimers(timing: Timing): { pending(): number; fire(): void } {
  setTimings({ [timing]: HELD_MS })
  const held = new Map<unknown, () => void>()
  const { setTimeout: setReal, clearTimeout: clearReal } = globalThis
  const set = (callback: () => void, delayMs?: number) => {
    const timer = setReal(callback, delayMs)
    if (delayMs === HELD_MS) {
      clearReal(timer)
      held.set(timer, callback)
    }
    return timer
  }
  const clear = (timer?: NodeJS.Timeout) => {
    held.delete(timer)
    clearReal(timer)
  }
  vi.stubGlobal('setTimeout', set)
  vi.stubGlobal('clearTimeout', clear)
  onTestFinished(() => void vi.unstubAllGlobals())
  return {
    pending: () => held.size,
    fire: () => {
      for (const callback of held.values()) callback()
      held.clear()
    },
  }
}
