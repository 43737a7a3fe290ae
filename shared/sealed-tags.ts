import { TAG_BYTES } from './age-payload.js'
import { EssError } from './problems.js'

const PAGE_LENGTH = 65_536

/**
 * Remembers what each chunk of one payload was, by 31 bits of its tag. After a cut, a chunk may be sealed again with the
 * same key and nonce, and if its plaintext were another one, both could be read by anyone who has both. A changed file is found by
 * its times, but times can be set. It takes 4 bytes for each 64 KiB.
 */
export class SealedTags {
  readonly #pages: Uint32Array[] = []

  /** Call it before the chunk goes anywhere; its tag ends at `end`. Throws EssError `file-changed`. */
  check(index: number, sealed: Uint8Array, end: number): void {
    const tag = (firstWord(sealed, end - TAG_BYTES) | 1) >>> 0
    const page = this.#page(Math.floor(index / PAGE_LENGTH))
    const at = index % PAGE_LENGTH
    if (page[at] === 0) page[at] = tag
    else if (page[at] !== tag) {
      throw new EssError(
        'file-changed',
        'The source has changed since its first part was sent, and two versions must not be encrypted with one key. Send it again when no program writes to it.',
      )
    }
  }

  #page(number: number): Uint32Array {
    const page = this.#pages[number] ?? new Uint32Array(PAGE_LENGTH)
    this.#pages[number] = page
    return page
  }
}

function firstWord(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at).getUint32(0, true)
}
