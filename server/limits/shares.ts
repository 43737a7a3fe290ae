import { EssError } from '../../shared/index.js'

/** How much each client has of one thing at the moment, and how much it may have. */
export class Shares {
  readonly #most: number
  /** Only those who have some: it never holds more clients than there are things. */
  readonly #taken = new Map<string, number>()

  /** `most` for each client; 0 for no limit, and then nothing is counted. */
  constructor(most: number) {
    this.#most = most
  }

  /** What all clients have together. */
  get taken(): number {
    let sum = 0
    for (const count of this.#taken.values()) sum += count
    return sum
  }

  /**
   * Takes one for the client that `whose` names, and gives the way to give it back: it does so once, however often it is
   * called. Throws EssError `over-share`, with what `refusal` says, where the client has all it may have. Without a limit
   * nobody is asked for a name, which costs a call of the kernel's.
   */
  take(whose: () => string, refusal: (most: number) => string): () => void {
    if (this.#most === 0) return nothing
    const client = whose()
    const count = this.#taken.get(client) ?? 0
    if (count >= this.#most)
      throw new EssError('over-share', refusal(this.#most), { retryAfter: RETRY_AFTER })
    this.#taken.set(client, count + 1)
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
  }
}

/** Nobody knows when a client's own transfers will end: as long as a server that is full says. */
const RETRY_AFTER = 30

function nothing(): void {
  // Without a limit there is nothing to give back.
}
