import { EssError } from '../../shared/index.js'
import { SENDING } from '../../shared/page-words-sending.js'

/** The same as a sealed chunk, so that each is read whole. */
export const BLOCK_BYTES = 64 * 1024

/**
 * Remembers what each block of a body was, by 32 bits. A receiver that needs earlier bytes must get the same ones, and a file
 * that was written to while it was sent is no file that ever was.
 */
export class SeenBlocks {
  readonly #size: number
  readonly #hashes: number[] = []

  /** `size` is that of the body, whose last block may be shorter. */
  constructor(size: number) {
    this.#size = size
  }

  /** Call it with bytes that begin at this offset; blocks of which only a part is there pass. Throws EssError `file-changed`. */
  check(from: number, bytes: Uint8Array): void {
    for (let index = Math.ceil(from / BLOCK_BYTES); ; index++) {
      const start = index * BLOCK_BYTES - from
      const end = Math.min(start + BLOCK_BYTES, this.#size - from)
      if (start >= end || end > bytes.length) return
      const hash = hashOf(bytes.subarray(start, end))
      this.#hashes[index] ??= hash
      if (this.#hashes[index] !== hash) throw fileChanged()
    }
  }
}

/** The error for a file that isn't the one that was chosen. */
export function fileChanged(cause?: unknown): EssError {
  return new EssError('file-changed', SENDING.changed, { cause })
}

const START = 0x811c9dc5
const PRIME = 0x01000193

/** FNV-1a, word by word: each step can be undone, so a block with one other word has another hash. */
function hashOf(bytes: Uint8Array): number {
  // Words must lie at multiples of their size.
  const block = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice()
  const words = new Uint32Array(block.buffer, block.byteOffset, Math.floor(block.length / 4))
  let hash = START
  for (let at = 0; at < words.length; at++) hash = Math.imul(hash ^ (words[at] ?? 0), PRIME)
  for (const byte of block.subarray(4 * words.length)) hash = Math.imul(hash ^ byte, PRIME)
  return hash >>> 0
}
