/** Whoever is to give a sign of life now and then. */
export interface Beating {
  beat(): void
}

/** At most so many sweeps in one interval: a beat may be late by a part of it, and thousands share one wake-up. */
const SWEEPS_PER_INTERVAL = 32

/**
 * The heartbeats of one service: one timer for all who wait, however many they are, and none where nobody waits.
 * Each beats once in every interval, counted from its own `start`.
 */
export class Heartbeats {
  readonly #intervalMs: number
  /** When each is due. All wait equally long, so they stand in the order in which they are due. */
  readonly #dueMs = new Map<Beating, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** From here `one` beats until `stop`. */
  start(one: Beating): void {
    const nowMs = performance.now()
    this.#enqueue(one, nowMs)
    if (this.#timer === undefined) this.#setTimer(nowMs)
  }

  /** `one` beats no more; without effect when it does not. */
  stop(one: Beating): void {
    this.#dueMs.delete(one)
    if (this.#dueMs.size === 0) this.#setTimer(0)
  }

  #enqueue(one: Beating, nowMs: number): void {
    this.#dueMs.delete(one)
    // A whole number takes no memory of its own; rounded up, it is not due at once.
    this.#dueMs.set(one, Math.ceil(nowMs + this.#intervalMs))
  }

  readonly #sweep = (): void => {
    const nowMs = performance.now()
    for (const [one, dueMs] of this.#dueMs) {
      // Those that beat are at the end again, where they stop this loop as well.
      if (dueMs > nowMs) break
      this.#enqueue(one, nowMs)
      one.beat()
    }
    this.#setTimer(nowMs)
  }

  #setTimer(nowMs: number): void {
    clearTimeout(this.#timer)
    const [firstMs] = this.#dueMs.values()
    this.#timer =
      firstMs === undefined
        ? undefined
        : setTimeout(this.#sweep, Math.max(firstMs - nowMs, this.#intervalMs / SWEEPS_PER_INTERVAL))
  }
}
