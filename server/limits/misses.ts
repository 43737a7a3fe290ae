import { LRUCache } from 'lru-cache'
import { EssError } from '../../shared/index.js'

/** Misses within this time count together. */
export const WINDOW_SECONDS = 60

/**
 * How many clients' misses are counted, at some hundred bytes each. One more client, and the one with the oldest last
 * miss is forgotten. An attacker with that many addresses could use a fresh one anyway.
 */
const MAX_CLIENTS = 10_000

/**
 * Counts each client's 404s: typing errors, or guesses. The count starts with a client's first miss and is forgotten a
 * minute after that, even if the system clock is set meanwhile.
 */
export class Misses {
  readonly #most: number
  readonly #counts = new LRUCache<string, number>({
    max: MAX_CLIENTS,
    ttl: 1000 * WINDOW_SECONDS,
    noUpdateTTL: true,
    ttlAutopurge: true,
    // With any other value, the cache starts a timer for each look at the clock.
    ttlResolution: 0,
    perf: { now: () => performance.now() },
  })
  /** No client is out of misses after this time of `performance.now`; usually it is in the past. */
  #anyoneOutUntilMs = 0

  /** `most` misses per client per minute. 0 means no limit, and nothing is counted. */
  constructor(most: number) {
    this.#most = most
  }

  /** False while no client needs a `check`, because none has missed too often. */
  get isAnyoneOut(): boolean {
    return performance.now() < this.#anyoneOutUntilMs
  }

  /**
   * Throws EssError `too-many-requests`, in the words of `refusal`, when `client` has no misses left. Call it before
   * you look anything up: then the answer doesn't tell whether the thing exists.
   */
  check(client: string, refusal: (most: number, seconds: number) => string): void {
    // Not `get`, which would make this client's last miss the newest.
    const count = this.#counts.peek(client)
    if (count === undefined || count < this.#most) return
    const leftMs = this.#counts.getRemainingTTL(client)
    // The cache keeps an entry to the end of its last millisecond.
    if (leftMs <= 0) return
    throw new EssError('too-many-requests', refusal(this.#most, WINDOW_SECONDS), {
      retryAfter: Math.ceil(leftMs / 1000),
    })
  }

  /** Lets this client look nothing up for `forMs`: it has missed too often elsewhere. */
  shutOut(client: string, forMs: number): void {
    this.#counts.set(client, this.#most, { ttl: forMs, noUpdateTTL: false })
    this.#anyoneOutUntilMs = Math.max(this.#anyoneOutUntilMs, performance.now() + forMs)
  }

  /**
   * Counts a 404 that `client` was answered with. Returns for how many milliseconds the client is out of misses; 0 if it
   * is not.
   */
  count(client: string): number {
    if (this.#most === 0) return 0
    const count = (this.#counts.get(client) ?? 0) + 1
    this.#counts.set(client, count)
    if (count < this.#most) return 0
    const leftMs = this.#counts.getRemainingTTL(client)
    this.#anyoneOutUntilMs = Math.max(this.#anyoneOutUntilMs, performance.now() + leftMs)
    return leftMs
  }
}
