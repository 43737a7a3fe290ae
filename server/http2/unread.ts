import type { Entry } from '../node/entry.js'

/** How many answers may be unread, of all clients together: some 13 KiB each, most of it Node's. */
const MAX_UNREAD = 1024

/** An answer that is complete, and that its peer has yet to take. */
export interface Unread {
  /** Lets go of it, and of its connection as soon as nothing else needs that. */
  giveUp(): void
}

interface UnreadEntry extends Entry<Unread> {
  readonly sinceMs: number
}

/**
 * The answers that are complete and not taken yet, of all connections: a peer whose window is shut takes none of them,
 * and may ask for a hundred on each of its connections. The one that has been unread for the longest stands in front.
 * It is given up when its time is over, or when there are too many.
 */
export class UnreadAnswers {
  readonly #limitMs: number
  readonly #entries = new Set<UnreadEntry>()

  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  /** Returns what to call when it has been taken, or its stream is over. */
  add(answer: Unread): () => void {
    const entry: UnreadEntry = { member: answer, sinceMs: performance.now() }
    this.#entries.add(entry)
    if (this.#entries.size > MAX_UNREAD) {
      const [oldest] = this.#entries
      if (oldest !== undefined) this.#giveUp(oldest)
    }
    return () => this.#forget(entry)
  }

  /** Gives up those whose time is over. */
  look(): void {
    const dueMs = performance.now() - this.#limitMs
    for (const entry of this.#entries) {
      if (entry.sinceMs > dueMs) return
      this.#giveUp(entry)
    }
  }

  #giveUp(entry: UnreadEntry): void {
    const { member } = entry
    this.#forget(entry)
    member?.giveUp()
  }

  #forget(entry: UnreadEntry): void {
    entry.member = undefined
    this.#entries.delete(entry)
  }
}
