/** How many writes may be without an answer, so that a slow Redis costs a bounded amount of memory. */
const MOST_UNANSWERED = 1_000

/** How the writes are made. */
export interface Writer<Write> {
  /** False while writes would be lost or refused. */
  readonly isReady: () => boolean
  /** Makes a write. Rejects if it was lost or refused. */
  readonly write: (key: string, write: Write) => Promise<void>
  /** Told of a write that failed. Returns what is owed instead, if anything is. */
  readonly failed: (key: string, write: Write, error: unknown) => Write | undefined
}

/**
 * What the store must still be told: the latest write for each key. A write is made at once when the store is well and
 * has answered the last one for this key, and otherwise when that is so. Two writes for a key would overtake each other
 * where one of them takes two steps, and the store would keep the older one. There is never more than one for a key that
 * waits.
 */
export class OwedWrites<Write> {
  readonly #writer: Writer<Write>
  /** In the order in which they will be made. */
  readonly #owed = new Map<string, Write>()
  /** The keys of the writes without an answer. */
  readonly #unanswered = new Set<string>()

  constructor(writer: Writer<Write>) {
    this.#writer = writer
  }

  /** How many are not yet known to be in the store. */
  get count(): number {
    return this.#owed.size + this.#unanswered.size
  }

  get(key: string): Write | undefined {
    return this.#owed.get(key)
  }

  /** Takes the place of what is owed for this key. Call `make` afterwards. */
  owe(key: string, write: Write): void {
    this.#owed.set(key, write)
  }

  /** Makes as many as may be made now. Call it too when the store is well again. */
  make(): void {
    for (const [key, write] of this.#owed) {
      if (this.#unanswered.size >= MOST_UNANSWERED || !this.#writer.isReady()) return
      if (this.#unanswered.has(key)) continue
      this.#owed.delete(key)
      this.#unanswered.add(key)
      void this.#make(key, write)
    }
  }

  async #make(key: string, write: Write): Promise<void> {
    try {
      await this.#writer.write(key, write)
    } catch (error) {
      const instead = this.#writer.failed(key, write, error)
      if (instead !== undefined && !this.#owed.has(key)) this.#owed.set(key, instead)
    } finally {
      this.#unanswered.delete(key)
    }
    this.make()
  }
}
