import { EssError } from '../../shared/index.js'
import { keepFreedMemory } from './freed-memory.js'
import { CHUNK_BYTES, openChunk, SEALED_CHUNK_BYTES } from './payload.js'

/**
 * Opens a payload as it comes. It gives a chunk only when it is proved to be the one that was sealed at this place; so
 * a full chunk waits until the next byte, or the end, tells whether it is the last one.
 */
export class PayloadOpener {
  readonly #key: Uint8Array
  #index: number
  /** The begin of the chunk that is not complete yet, or may be the last one. */
  readonly #begun = Buffer.allocUnsafeSlow(SEALED_CHUNK_BYTES)
  #begunBytes = 0

  /** The first byte that comes is the first one of chunk `index`. */
  constructor(key: Uint8Array, index = 0) {
    keepFreedMemory()
    this.#key = key
    this.#index = index
  }

  /** The plaintext offset of the next byte that comes out. */
  get offset(): number {
    return this.#index * CHUNK_BYTES
  }

  /**
   * Takes the next bytes, and gives the chunks that they complete, each in memory of its own. Throws EssError
   * `not-authentic` at the first chunk that doesn't open; then the opener is of no further use. Iterate to the end before
   * you change `bytes` or call anything else.
   */
  *push(bytes: Uint8Array): Generator<Buffer, void> {
    let at = 0
    if (this.#begunBytes > 0) {
      at = this.#keep(bytes)
      if (at === bytes.length) return
      yield this.#open(this.#begun, false)
      this.#begunBytes = 0
    }
    for (; bytes.length - at > SEALED_CHUNK_BYTES; at += SEALED_CHUNK_BYTES)
      yield this.#open(bytes.subarray(at, at + SEALED_CHUNK_BYTES), false)
    this.#keep(bytes.subarray(at))
  }

  /** Gives the last chunk, which is empty for an empty file. Throws EssError `not-authentic` if the end is missing. */
  end(): Buffer {
    return this.#open(this.#begun.subarray(0, this.#begunBytes), true)
  }

  /** Returns how many of the bytes had room. */
  #keep(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, SEALED_CHUNK_BYTES - this.#begunBytes)
    this.#begun.set(taken, this.#begunBytes)
    this.#begunBytes += taken.length
    return taken.length
  }

  #open(sealed: Uint8Array, isLast: boolean): Buffer {
    const plain = openChunk(this.#key, this.#index, isLast, sealed)
    if (plain === undefined) throw notAuthentic(this.offset, isLast)
    this.#index++
    return plain
  }
}

function notAuthentic(offset: number, isLast: boolean): EssError {
  const found = isLast ? 'It ends too early, or was changed,' : 'It was changed'
  return new EssError(
    'not-authentic',
    `What came is not what the sender encrypted. ${found} from byte ${offset} on.`,
  )
}
