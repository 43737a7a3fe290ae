import { LRUCache } from 'lru-cache'
import { EssError } from '../../shared/index.js'

/** The time in which misses are counted together. */
const WINDOW_SECONDS = 60

/**
 * Of how many clients misses are counted: some hundred bytes each. One more, and the one whose last miss is the
 * oldest is forgotten. That frees nobody who could not ask from another of these addresses anyway.
 */
const MAX_CLIENTS = 10_000

/**
 * How often each client has asked for what is not there: by mistake, or because it guesses. The count begins with
 * a client's first miss, and is forgotten a minute after that, whatever the clock is set to meanwhile.
 */
export class Misses {
  readonly #most: number
  readonly #counts = new LRUCache<string, number>({
    max: MAX_CLIENTS,
    ttl: 1000 * WINDOW_SECONDS,
    noUpdateTTL: true,
    ttlAutopurge: true,
    // Otherwise it has a timer of its own for each look at the clock.
    ttlResolution: 0,
    perf: { now: () => performance.now() },
  })
  /** Until then somebody may have no misses left, by `performance.now`: mostly nobody has not. */
  #someoneOutUntilMs = 0

  /** `most` a minute for each client; 0 for no limit, and then nothing is counted. */
  constructor(most: number) {
    this.#most = most
  }

  /** False where nobody has to be checked, because nobody has missed too often. */
  get isAnyoneOut(): boolean {
    return performance.now() < this.#someoneOutUntilMs
  }

  /**
   * Throws EssError `too-many-requests`, with what `refusal` says, where `client` has missed as often as it
   * may. Asked before anything is looked up, so that the answer is the same for what is there and for what is not.
   */
  check(client: string, refusal: (most: number, seconds: number) => string): void {
    // Not `get`, after which it would be the one whose last miss is the youngest.
    const count = this.#counts.peek(client)
    if (count === undefined || count < this.#most) return
    const leftMs = this.#counts.getRemainingTTL(client)
    // The cache keeps it to the end of the last millisecond.
    if (leftMs <= 0) return
    throw new EssError('too-many-requests', refusal(this.#most, WINDOW_SECONDS), {
      retryAfter: Math.ceil(leftMs / 1000),
    })
  }

  /** `client` was told that something is not there. */
  count(client: string): void {
    if (this.#most === 0) return
    const count = (this.#counts.get(client) ?? 0) + 1
    this.#counts.set(client, count)
    if (count < this.#most) return
    const untilMs = performance.now() + this.#counts.getRemainingTTL(client)
    this.#someoneOutUntilMs = Math.max(this.#someoneOutUntilMs, untilMs)
  }
}
