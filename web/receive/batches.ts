/** Larger writes are fewer; smaller ones take less memory. */
const BATCH_BYTES = 1024 * 1024

/**
 * Puts pieces together, because each write goes to another process of the browser. `write` gets memory of its own. Call
 * `flush` after the last piece.
 */
export class Batches {
  readonly #write: (batch: Uint8Array<ArrayBuffer>) => Promise<void>
  #batch = new Uint8Array(BATCH_BYTES)
  #bytes = 0

  constructor(write: (batch: Uint8Array<ArrayBuffer>) => Promise<void>) {
    this.#write = write
  }

  async push(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.subarray(at, at + BATCH_BYTES - this.#bytes)
      this.#batch.set(taken, this.#bytes)
      this.#bytes += taken.length
      at += taken.length
      if (this.#bytes === BATCH_BYTES) await this.flush()
    }
  }

  async flush(): Promise<void> {
    if (this.#bytes === 0) return
    const batch = this.#bytes === BATCH_BYTES ? this.#batch : this.#batch.slice(0, this.#bytes)
    this.#batch = new Uint8Array(BATCH_BYTES)
    this.#bytes = 0
    await this.#write(batch)
  }
}
