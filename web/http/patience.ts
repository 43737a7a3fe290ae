/** The pauses between two tries: each is twice as long as the one before, up to the last. */
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 10_000

/** How long a page tries to go on after a cut, and how often. */
export class Patience {
  readonly #ms: number
  readonly #longestPauseMs: number
  #endsAt = 0
  #pauseMs = FIRST_PAUSE_MS

  /** It lasts for `ms` from now on, and from each `calm`. */
  constructor(ms: number, longestPauseMs = LONGEST_PAUSE_MS) {
    this.#ms = ms
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
    this.extend()
    this.#pauseMs = FIRST_PAUSE_MS
  }

  /** The server is there, and waits for us. */
  extend(): void {
    this.#endsAt = performance.now() + this.#ms
  }

  /**
   * Waits until the next try, and no longer when the network is back, or the person looks at the page again. A part of
   * the pause is drawn by lot: a server that was away would otherwise get all its clients at once.
   */
  async pause(signal: AbortSignal): Promise<void> {
    const ms = this.#pauseMs * (0.5 + Math.random() / 2)
    this.#pauseMs = Math.min(2 * this.#pauseMs, this.#longestPauseMs)
    await calledBack(ms, signal)
    signal.throwIfAborted()
  }
}

/** Resolves after so many milliseconds, or when the page is called back before. */
export async function calledBack(ms: number, signal?: AbortSignal): Promise<void> {
  const off = new AbortController()
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    off.signal.addEventListener('abort', () => clearTimeout(timer))
    const once = { signal: off.signal }
    window.addEventListener('online', () => resolve(), once)
    document.addEventListener('visibilitychange', () => document.hidden || resolve(), once)
    signal?.addEventListener('abort', () => resolve(), once)
  })
  off.abort()
}
