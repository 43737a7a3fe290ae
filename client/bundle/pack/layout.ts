import type { Entry } from './entry.js'
import { headerLength, padded, RECORD_BYTES } from './header.js'

/**
 * Two records of zeros end a tar. Most programs fill the last 10 KiB too, for tapes. No reader needs that, and one that
 * stops at the end would break the pipe of what writes to it.
 */
const END_BYTES = 2 * RECORD_BYTES

/** Where each entry of the tar is. */
export class Layout {
  readonly entries: readonly Entry[]
  /** Bytes of the whole tar. */
  readonly size: number
  /** The offset of each entry, and that of the end. */
  readonly #starts: Float64Array

  constructor(entries: readonly Entry[]) {
    this.entries = entries
    this.#starts = new Float64Array(entries.length + 1)
    let at = 0
    for (const [index, entry] of entries.entries()) {
      this.#starts[index] = at
      at += headerLength(entry) + (entry.kind === 'file' ? padded(entry.size) : 0)
    }
    this.#starts[entries.length] = at
    this.size = at + END_BYTES
  }

  /** The offset of this entry; of the end for the number of entries. */
  startOf(index: number): number {
    return this.#starts[index] ?? this.size
  }

  /** The index of the entry that has the byte at this offset. The number of entries if it is in the end. */
  indexAt(offset: number): number {
    let low = 0
    let high = this.entries.length
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.startOf(middle) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}
