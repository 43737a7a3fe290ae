import { RateLimiterMemory } from 'rate-limiter-flexible'
import { EssError } from '../shared/index.js'

/** The time in which misses are counted together. */
const WINDOW_SECONDS = 60

/**
 * Of how many clients misses are counted: about 500 bytes each. One more, and the one whose last miss is the
 * oldest is forgotten. That frees nobody who could not ask from another of these addresses anyway.
 */
const MAX_CLIENTS = 10_000

/**
 * How often each client has asked for what is not there: by mistake, or because it guesses. The count begins with
 * a client's first miss, and is forgotten a minute after that.
 */
export class Misses {
  readonly #most: number
  readonly #limiter: RateLimiterMemory
  /** Those the limiter knows, and some it has forgotten; the one with the oldest last miss stands in front. */
  readonly #clients = new Set<string>()
  /** Goes on where it was: one that began anew would pass every place that was given up since. */
  readonly #oldest = this.#clients.values()
  /** Until then somebody may have no misses left: mostly nobody has not, and a check is a look at the clock. */
  #someoneOutUntilMs = 0

  /** `most` a minute for each client; 0 for no limit, and then nothing is counted. */
  constructor(most: number) {
    this.#most = most
    this.#limiter = new RateLimiterMemory({ points: most, duration: WINDOW_SECONDS, keyPrefix: '' })
  }

  /** False where nobody has to be checked, because nobody has missed too often. */
  get isAnyoneOut(): boolean {
    return Date.now() < this.#someoneOutUntilMs
  }

  /**
   * Rejects with EssError `too-many-requests`, with what `refusal` says, where `client` has missed as often as it
   * may. Asked before anything is looked up, so that the answer is the same for what is there and for what is not.
   */
  async check(client: string, refusal: (most: number, seconds: number) => string): Promise<void> {
    const counted = await this.#limiter.get(client)
    if (counted === null || counted.remainingPoints > 0 || counted.msBeforeNext <= 0) return
    throw new EssError('too-many-requests', refusal(this.#most, WINDOW_SECONDS), {
      retryAfter: Math.ceil(counted.msBeforeNext / 1000),
    })
  }

  /** `client` was told that something is not there. */
  count(client: string): void {
    if (this.#most === 0) return
    // In memory it is counted at once, and never rejected.
    void this.#limiter.penalty(client).then(({ consumedPoints, msBeforeNext }) => {
      if (consumedPoints >= this.#most)
        this.#someoneOutUntilMs = Math.max(this.#someoneOutUntilMs, Date.now() + msBeforeNext)
    })
    this.#clients.delete(client)
    this.#clients.add(client)
    if (this.#clients.size > MAX_CLIENTS) this.#forgetOldest()
  }

  #forgetOldest(): void {
    const { value: client = '' } = this.#oldest.next()
    this.#clients.delete(client)
    // The same.
    void this.#limiter.delete(client)
  }
}
