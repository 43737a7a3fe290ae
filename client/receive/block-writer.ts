import type { Writable } from 'node:stream'
import { written } from './sink.js'

/** As much as is read at once from a connection, for the same reason: each block wakes a thread. */
const BLOCK_BYTES = 2 * 1024 * 1024

/**
 * Gathers small pieces into blocks and writes those, each from one of two memories in turn: while one is written, the
 * other is filled.
 */
export class BlockWriter {
  readonly #writable: Writable
  readonly #blocks: [Buffer | undefined, Buffer | undefined] = [undefined, undefined]
  /** Settled when the memory is free again. */
  readonly #writing: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()]
  #into: 0 | 1 = 0
  #filled = 0

  constructor(writable: Writable) {
    this.#writable = writable
  }

  /** Takes a piece, of which the memory is free when it resolves. Rejects if an earlier write has failed. */
  async take(piece: Buffer): Promise<void> {
    for (let rest = piece; rest.length > 0; ) {
      // Memory that no piece needs is not taken.
      this.#blocks[this.#into] ??= Buffer.allocUnsafeSlow(BLOCK_BYTES)
      const count = rest.copy(this.#blocks[this.#into] ?? rest, this.#filled)
      this.#filled += count
      rest = rest.subarray(count)
      if (this.#filled === BLOCK_BYTES) await this.flush()
    }
  }

  /** Writes what was gathered, and resolves when there is memory for more. Rejects if an earlier write has failed. */
  async flush(): Promise<void> {
    const block = this.#blocks[this.#into]?.subarray(0, this.#filled)
    if (block !== undefined && block.length > 0) {
      const writing = written(this.#writable, block)
      writing.catch(() => {}) // Told by the next call.
      this.#writing[this.#into] = writing
      this.#into = this.#into === 0 ? 1 : 0
      this.#filled = 0
    }
    await this.#writing[this.#into]
  }

  /** Writes what was gathered, and resolves when all of it is written. */
  async end(): Promise<void> {
    await this.flush()
    await Promise.all(this.#writing)
  }
}
