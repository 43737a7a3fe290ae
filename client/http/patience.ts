import { setTimeout as delay } from 'node:timers/promises'
import { EssError } from '../../shared/index.js'

/** The pauses between two tries: each is twice as long as the one before, up to the last. */
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000

/** How long a client tries to go on after a cut, and how often. */
export class Patience {
  readonly #ms: number
  readonly #signal: AbortSignal | undefined
  readonly #longestPauseMs: number
  #endsAt = 0
  #pauseMs = FIRST_PAUSE_MS

  /** It lasts for `ms` from now on, and from each `calm`. */
  constructor(ms: number, signal: AbortSignal | undefined, longestPauseMs = LONGEST_PAUSE_MS) {
    this.#ms = ms
    this.#signal = signal
    this.#longestPauseMs = longestPauseMs
    this.calm()
  }

  get isOver(): boolean {
    return performance.now() > this.#endsAt
  }

  get secondsLeft(): number {
    return Math.max(0, Math.round((this.#endsAt - performance.now()) / 1000))
  }

  /** Bytes have moved, so the next cut has nothing to do with the last one. */
  calm(): void {
    this.#endsAt = performance.now() + this.#ms
    this.#pauseMs = FIRST_PAUSE_MS
  }

  /**
   * Waits until the next try. A part of the pause is drawn by lot: a server that was away would otherwise get all its
   * clients at once. With `atLeastMs`, the whole pause comes behind that. Throws EssError `interrupted`.
   */
  async pause(atLeastMs = 0): Promise<void> {
    const ms = this.#pauseMs * (0.5 + Math.random() / 2)
    this.#pauseMs = Math.min(2 * this.#pauseMs, this.#longestPauseMs)
    await delay(atLeastMs + ms, undefined, { signal: this.#signal }).catch(() => {
      throw new EssError('interrupted', 'Interrupted before the transfer was complete.')
    })
  }
}
