import { EssError } from '../../shared/index.js'

/**
 * Bytes that can be read once, of which the last are kept, so that a sender can go back to them after a cut. `read`
 * may be called again, from any offset that is still kept; the call before it then ends. The blocks are kept as they
 * come, so nobody may write into them afterwards.
 */
export class KeptBlocks {
  readonly #blocks: AsyncIterator<Uint8Array>
  readonly #maxBytes: number
  readonly #kept: Uint8Array[] = []
  /** The offset of the first byte that is kept, and that behind the last one. */
  #start = 0
  #end = 0
  /** The block that was asked for last: a reader may leave before it comes. */
  #coming: Promise<IteratorResult<Uint8Array>> | undefined
  #readers = 0

  /** Keeps at least `maxBytes`, and one block more. */
  constructor(blocks: AsyncIterable<Uint8Array>, maxBytes: number) {
    this.#blocks = blocks[Symbol.asyncIterator]()
    this.#maxBytes = maxBytes
  }

  /** Throws EssError `file-unreadable` if the bytes at `from` are not kept any more. */
  async *read(from: number): AsyncGenerator<Uint8Array> {
    const reader = ++this.#readers
    if (from < this.#start || from > this.#end) {
      throw new EssError(
        'file-unreadable',
        `The receiver needs the input from byte ${from} on, and a pipe can't be read again: only the part from byte ${this.#start} on is kept. Send a file instead, or send it again.`,
      )
    }
    let at = from
    while (reader === this.#readers) {
      const block = this.#from(at) ?? (await this.#next())
      if (block === undefined) return
      if (reader !== this.#readers) return
      at += block.length
      yield block
    }
  }

  /** What is kept of the block at this offset. Undefined behind the last one. */
  #from(offset: number): Uint8Array | undefined {
    if (offset === this.#end) return undefined
    let at = this.#start
    for (const block of this.#kept) {
      if (offset < at + block.length) return block.subarray(offset - at)
      at += block.length
    }
    return undefined
  }

  async #next(): Promise<Uint8Array | undefined> {
    this.#coming ??= this.#blocks.next()
    const coming = this.#coming
    const { done, value } = await coming
    // The end stays, for a reader that comes later.
    if (done === true) return undefined
    // Another reader may have waited for the same block, and kept it already.
    if (this.#coming === coming) {
      this.#coming = undefined
      this.#keep(value)
    }
    return value
  }

  #keep(block: Uint8Array): void {
    this.#kept.push(block)
    this.#end += block.length
    while (this.#end - this.#start - (this.#kept[0]?.length ?? 0) >= this.#maxBytes)
      this.#start += this.#kept.shift()?.length ?? 0
  }
}
