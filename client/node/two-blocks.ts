import { withResolvers } from '../../shared/with-resolvers.js'

/**
 * Passes bytes from a writer that fills memory to a reader that empties it, through two blocks in turn. While one is
 * filled, the other is emptied. Nothing is copied or thrown away.
 */
export class TwoBlocks {
  readonly #blocks: readonly [Buffer, Buffer]
  readonly #blockBytes: number
  /** The block being filled, and how far it is filled. */
  #into: 0 | 1 = 0
  #filled = 0
  /** The block being emptied, how far it is emptied, and how many bytes the reader holds. */
  #from: 0 | 1 = 0
  #emptied = 0
  #lent = 0
  /** True while one block is full and the other is not yet empty. */
  #isFull = false
  #isEnded = false
  #isFailed = false
  #wake = () => {}
  readonly #onRoom: () => void
  readonly #failure = withResolvers<never>()

  /** `onRoom` is called when there is room again, after `fill` returned false. */
  constructor(blockBytes: number, onRoom: () => void) {
    this.#blockBytes = blockBytes
    this.#blocks = [Buffer.allocUnsafeSlow(blockBytes), Buffer.allocUnsafeSlow(blockBytes)]
    this.#onRoom = onRoom
    this.failure.catch(() => {}) // The reader may be done by then.
  }

  /** Rejects with the argument of `fail`. */
  get failure(): Promise<never> {
    return this.#failure.promise
  }

  /** Where the next bytes go. While there is no room, it is where they will go: don't write there before `onRoom`. */
  get room(): Buffer {
    // "Full" means that the other block is next, from its beginning: a block is only filled again once it is empty.
    return this.#isFull ? this.#blocks[other(this.#into)] : this.#blocks[this.#into].subarray(this.#filled)
  }

  /** Call this after putting `bytes` bytes into `room`. Returns false if there is no more room. */
  fill(bytes: number): boolean {
    this.#filled += bytes
    if (this.#filled === this.#blockBytes) {
      if (this.#from === this.#into) this.#fillOther()
      else this.#isFull = true
    }
    this.#wake()
    return !this.#isFull
  }

  /** Call this after the last byte. */
  end(): void {
    this.#isEnded = true
    this.#wake()
  }

  /** Fails the reader, also if unread bytes are still in here. Only the first error counts. */
  fail(error: unknown): void {
    this.#isFailed = true
    this.#failure.reject(error)
    this.#wake()
  }

  /**
   * The next bytes, or undefined at the end. It also gives back the bytes returned before, so their memory may be
   * filled again. With `isEager` it returns any bytes at once; otherwise it waits for a whole block, except for the
   * last one.
   */
  async next(isEager: boolean): Promise<Buffer | undefined> {
    this.#takeBack()
    for (;;) {
      if (this.#isFailed) return await this.failure
      const isWhole = this.#from !== this.#into
      const until = isWhole ? this.#blockBytes : this.#filled
      if (until > this.#emptied && (isWhole || isEager || this.#isEnded)) {
        this.#lent = until - this.#emptied
        return this.#blocks[this.#from].subarray(this.#emptied, until)
      }
      if (this.#isEnded) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** After a failure: the bytes that came before it and were not returned yet. */
  left(): readonly Buffer[] {
    this.#takeBack()
    const isSame = this.#from === this.#into
    const first = this.#blocks[this.#from].subarray(this.#emptied, isSame ? this.#filled : this.#blockBytes)
    const second = isSame ? [] : [this.#blocks[this.#into].subarray(0, this.#filled)]
    return [first, ...second].filter(({ length }) => length > 0)
  }

  #takeBack(): void {
    this.#emptied += this.#lent
    this.#lent = 0
    if (this.#emptied < this.#blockBytes) return
    this.#emptied = 0
    this.#from = other(this.#from)
    if (!this.#isFull) return
    this.#isFull = false
    this.#fillOther()
    this.#onRoom()
  }

  #fillOther(): void {
    this.#into = other(this.#into)
    this.#filled = 0
  }
}

function other(index: 0 | 1): 0 | 1 {
  return index === 0 ? 1 : 0
}
