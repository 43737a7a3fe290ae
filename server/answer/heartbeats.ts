import type { Entry } from '../node/entry.js'

/** Whoever is to give a sign of life now and then. */
export interface Beating {
  beat(): void
}

/** One who beats, and when that is due: milliseconds, as of `performance.now`. */
export interface Heartbeat extends Entry<Beating> {
  dueMs: number
}

/** At most so many sweeps in one interval: a beat may be late by a part of it, and thousands share one wake-up. */
const SWEEPS_PER_INTERVAL = 32

/**
 * The heartbeats of one service: one timer for all who wait, however many they are, and none where nobody waits.
 * Each beats once in every interval, counted from its own `start`.
 */
export class Heartbeats {
  readonly #intervalMs: number
  /** All wait equally long, so they stand in the order in which they are due. */
  readonly #beating = new Set<Heartbeat>()
  #timer: NodeJS.Timeout | undefined

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** From here `one` beats until `stop` of what this returns. */
  start(one: Beating): Heartbeat {
    const nowMs = performance.now()
    const heartbeat = { member: one, dueMs: this.#nextDueMs(nowMs) }
    this.#beating.add(heartbeat)
    if (this.#timer === undefined) this.#setTimer(nowMs)
    return heartbeat
  }

  /** Its member beats no more; without effect when it does not. */
  stop(heartbeat: Heartbeat | undefined): void {
    if (heartbeat === undefined) return
    heartbeat.member = undefined
    this.#beating.delete(heartbeat)
    if (this.#beating.size === 0) this.#setTimer(0)
  }

  #nextDueMs(nowMs: number): number {
    // A whole number takes no memory of its own; rounded up, it is not due at once.
    return Math.ceil(nowMs + this.#intervalMs)
  }

  readonly #sweep = (): void => {
    const nowMs = performance.now()
    for (const heartbeat of this.#beating) {
      // Those that beat are at the end again, where they stop this loop as well.
      if (heartbeat.dueMs > nowMs) break
      this.#beating.delete(heartbeat)
      heartbeat.dueMs = this.#nextDueMs(nowMs)
      this.#beating.add(heartbeat)
      heartbeat.member?.beat()
    }
    this.#setTimer(nowMs)
  }

  #setTimer(nowMs: number): void {
    clearTimeout(this.#timer)
    const [first] = this.#beating
    this.#timer =
      first === undefined
        ? undefined
        : setTimeout(this.#sweep, Math.max(first.dueMs - nowMs, this.#intervalMs / SWEEPS_PER_INTERVAL))
  }
}
