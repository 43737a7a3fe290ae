/** Bytes as they come, in one piece of memory: looking at them costs nothing, however many there are. */
export class Gathered {
  #memory = Buffer.alloc(4096)
  #length = 0

  push(chunk: Buffer): void {
    const end = this.#length + chunk.length
    if (end > this.#memory.length) {
      const larger = Buffer.alloc(Math.max(end, 2 * this.#memory.length))
      this.#memory.copy(larger, 0, 0, this.#length)
      this.#memory = larger
    }
    chunk.copy(this.#memory, this.#length)
    this.#length = end
  }

  /** All so far. What comes later does not change it. */
  bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }
}
