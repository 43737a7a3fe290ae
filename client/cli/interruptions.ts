/** Counts how often a transfer was interrupted. */
export class Interruptions {
  #count = 0
  #isLost = false

  get count(): number {
    return this.#count
  }

  /** True from a loss until the transfer goes on. */
  get isLost(): boolean {
    return this.#isLost
  }

  /** You may call it again for the same loss. */
  lost(): void {
    if (!this.#isLost) this.#count++
    this.#isLost = true
  }

  resumed(): void {
    this.#isLost = false
  }
}
