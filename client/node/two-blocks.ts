import { withResolvers } from '../../shared/with-resolvers.js'

/**
 * Bytes on their way from who fills memory to who empties it, through two blocks that are used in turn: one is
 * filled while the other is emptied, and nothing is copied or thrown away on the way.
 */
export class TwoBlocks {
  readonly #blocks: readonly [Buffer, Buffer]
  readonly #blockBytes: number
  /** The block that is filled, and how far. */
  #into: 0 | 1 = 0
  #filled = 0
  /** The block that is emptied, how far, and how much of it is in somebody's hands. */
  #from: 0 | 1 = 0
  #emptied = 0
  #lent = 0
  /** True while the one block is full and the other not yet empty. */
  #isFull = false
  #isEnded = false
  #isFailed = false
  #wake = () => {}
  readonly #onRoom: () => void
  readonly #failure = withResolvers<never>()

  /** `onRoom` is called when there is room again after `fill` said that there was none. */
  constructor(blockBytes: number, onRoom: () => void) {
    this.#blockBytes = blockBytes
    this.#blocks = [Buffer.allocUnsafeSlow(blockBytes), Buffer.allocUnsafeSlow(blockBytes)]
    this.#onRoom = onRoom
    this.failure.catch(() => {}) // The reader may be done by then.
  }

  /** Rejects with what `fail` is called with. */
  get failure(): Promise<never> {
    return this.#failure.promise
  }

  /** Where the next bytes go. While there is no room, where they will go: not to be written to before `onRoom`. */
  get room(): Buffer {
    // Full means that the other one is next, and all of it, because it is only used when it is empty.
    return this.#isFull ? this.#blocks[other(this.#into)] : this.#blocks[this.#into].subarray(this.#filled)
  }

  /** So many bytes were put into `room`. False when there is no more of it. */
  fill(bytes: number): boolean {
    this.#filled += bytes
    if (this.#filled === this.#blockBytes) {
      if (this.#from === this.#into) this.#fillOther()
      else this.#isFull = true
    }
    this.#wake()
    return !this.#isFull
  }

  /** There will be no more bytes. */
  end(): void {
    this.#isEnded = true
    this.#wake()
  }

  /** Whoever empties it gets `error` instead of what is still in here. The first one counts. */
  fail(error: unknown): void {
    this.#isFailed = true
    this.#failure.reject(error)
    this.#wake()
  }

  /**
   * The next bytes, or undefined at the end; those given before are given back by this. With `isEager` as soon
   * as there are any, otherwise a whole block, but for the last one.
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
