import type { Entry } from '../node/entry.js'

/** How many answers of all clients together may be unread. Each costs some 13 KiB, most of it Node's. */
const MAX_UNREAD = 1024

/** A complete answer that its peer has yet to take. */
export interface Unread {
  /** Drops it, and its connection as soon as nothing else needs that. */
  giveUp(): void
}

interface UnreadEntry extends Entry<Unread> {
  readonly sinceMs: number
}

/**
 * The complete answers of all connections that their peers have not taken. A peer with a shut window takes none, and may
 * ask for a hundred on each of its connections. The oldest is given up when its time is over, or when there are too
 * many.
 */
export class UnreadAnswers {
  readonly #limitMs: number
  readonly #entries = new Set<UnreadEntry>()

  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  /** Returns a function to call when the answer was taken, or its stream is over. */
  add(answer: Unread): () => void {
    const entry: UnreadEntry = { member: answer, sinceMs: performance.now() }
    this.#entries.add(entry)
    if (this.#entries.size > MAX_UNREAD) {
      const [oldest] = this.#entries
      if (oldest !== undefined) this.#giveUp(oldest)
    }
    return () => this.#forget(entry)
  }

  /** Gives up the answers whose time is over. */
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
