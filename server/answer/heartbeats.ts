import type { Entry } from '../node/entry.js'

/** Something that gives a sign of life at each heartbeat. */
export interface Beating {
  beat(): void
}

/** One member, and when its next beat is due: milliseconds of `performance.now`. */
export interface Heartbeat extends Entry<Beating> {
  dueMs: number
}

/**
 * The most sweeps in one interval. A beat may be this part of an interval late, so that thousands share one wake-up.
 */
const SWEEPS_PER_INTERVAL = 32

/**
 * The heartbeats of one service: one timer for any number of members, and no timer for none. Each member beats once in
 * every interval, counted from its own `start`.
 */
export class Heartbeats {
  readonly #intervalMs: number
  /** All wait equally long, so the order of insertion is the order in which they are due. */
  readonly #beating = new Set<Heartbeat>()
  #timer: NodeJS.Timeout | undefined

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** `one` beats from now on, until you pass the result to `stop`. */
  start(one: Beating): Heartbeat {
    const nowMs = performance.now()
    const heartbeat = { member: one, dueMs: this.#nextDueMs(nowMs) }
    this.#beating.add(heartbeat)
    if (this.#timer === undefined) this.#setTimer(nowMs)
    return heartbeat
  }

  /** Ends a heartbeat. Without effect if it has ended. */
  stop(heartbeat: Heartbeat | undefined): void {
    if (heartbeat === undefined) return
    heartbeat.member = undefined
    this.#beating.delete(heartbeat)
    if (this.#beating.size === 0) this.#setTimer(0)
  }

  #nextDueMs(nowMs: number): number {
    // V8 stores a whole number without an allocation. Rounded up, so that a beat is never due at once.
    return Math.ceil(nowMs + this.#intervalMs)
  }

  readonly #sweep = (): void => {
    const nowMs = performance.now()
    for (const heartbeat of this.#beating) {
      // A member that has beaten goes to the end, where its new time ends this loop.
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
