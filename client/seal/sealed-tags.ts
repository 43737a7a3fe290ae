import { EssError } from '../../shared/index.js'
import { TAG_BYTES } from './payload.js'

const PAGE_LENGTH = 65_536

/**
 * Remembers what each chunk of one payload was, by 31 bits of its tag. After a cut, a chunk may be sealed again with the
 * same key and nonce, and if its plaintext were another one, both could be read by anyone who has both. A changed file is found by
 * its times, but times can be set. It takes 4 bytes for each 64 KiB.
 */
export class SealedTags {
  readonly #pages: Uint32Array[] = []

  /** Call it before the chunk goes anywhere; its tag ends at `end`. Throws EssError `file-changed`. */
  check(index: number, sealed: Buffer, end: number): void {
    const tag = (sealed.readUInt32LE(end - TAG_BYTES) | 1) >>> 0
    const page = this.#page(Math.floor(index / PAGE_LENGTH))
    const at = index % PAGE_LENGTH
    if (page[at] === 0) page[at] = tag
    else if (page[at] !== tag) {
      throw new EssError(
        'file-changed',
        'The source has changed since its first part was sent, and two versions must not be sealed with one key. Send it again when no program writes to it.',
      )
    }
  }

  #page(number: number): Uint32Array {
    const page = this.#pages[number] ?? new Uint32Array(PAGE_LENGTH)
    this.#pages[number] = page
    return page
  }
}
