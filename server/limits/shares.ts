import { EssError } from '../../shared/index.js'

/** What other processes of the same machine know of each client's share of one kind of thing. */
export interface Elsewhere {
  /** True if this client has all it may have, over all processes. */
  isFull(client: string): boolean
  /** Is told of each one that is taken (1) or given back (-1) here. */
  changed(client: string, by: 1 | -1): void
}

/** How many of one kind of thing each client has, and how many it may have. */
export class Shares {
  readonly #most: number
  /** Only clients that have some, so it never holds more clients than there are things. */
  readonly #taken = new Map<string, number>()
  #elsewhere: Elsewhere | undefined

  /** `most` per client. 0 means no limit, and nothing is counted. */
  constructor(most: number) {
    this.#most = most
  }

  /** How many all clients have together. */
  get taken(): number {
    let sum = 0
    for (const count of this.#taken.values()) sum += count
    return sum
  }

  /** Counts together with other processes from now on. Call it before the first `take`. */
  shareWith(elsewhere: Elsewhere): void {
    this.#elsewhere = elsewhere
  }

  /**
   * Takes one for the client that `whose` names. Call the returned function to give it back; only the first call
   * counts. Throws EssError `over-share`, in the words of `refusal`, when the client has all it may have. Without a
   * limit `whose` isn't called, because finding an address costs a system call.
   */
  take(whose: () => string, refusal: (most: number) => string): () => void {
    if (this.#most === 0) return nothing
    const client = whose()
    const count = this.#taken.get(client) ?? 0
    if (count >= this.#most || this.#elsewhere?.isFull(client) === true)
      throw new EssError('over-share', refusal(this.#most), { retryAfter: RETRY_AFTER })
    this.#taken.set(client, count + 1)
    this.#elsewhere?.changed(client, 1)
    let isTaken = true
    return () => {
      if (isTaken) this.#giveBack(client)
      isTaken = false
    }
  }

  #giveBack(client: string): void {
    const left = (this.#taken.get(client) ?? 1) - 1
    if (left > 0) this.#taken.set(client, left)
    else this.#taken.delete(client)
    this.#elsewhere?.changed(client, -1)
  }
}

/** Seconds. When a client's own transfers end can't be known, so this is the same as for a full server. */
export const RETRY_AFTER = 30

function nothing(): void {
  // Without a limit there is nothing to give back.
}
