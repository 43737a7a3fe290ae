import type { ByteSink } from '../../node/ports.js'

type Corkable = Pick<ByteSink, 'cork' | 'uncork'>

/** Holds what is written to a receiver, so that it leaves in one write. */
export class Cork {
  readonly #receiver: Corkable
  readonly #below: Corkable | undefined
  #isHeld = false
  #bytes = 0

  /** `below` is the connection of a response that Node frames: it makes several writes of one chunk. */
  constructor(receiver: Corkable, below?: Corkable) {
    this.#receiver = receiver
    this.#below = below
  }

  /** Bytes that were counted since `hold`. */
  get bytes(): number {
    return this.#bytes
  }

  /** Holds what is written from now on. Does nothing if it holds already. */
  hold(): void {
    if (this.#isHeld) return
    this.#isHeld = true
    this.#bytes = 0
    this.#receiver.cork()
  }

  count(bytes: number): void {
    this.#bytes += bytes
  }

  /** Writes what was held. */
  release(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#below?.cork()
    this.#receiver.uncork()
    this.#below?.uncork()
  }
}
