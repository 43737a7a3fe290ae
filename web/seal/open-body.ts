import { PAYLOAD_NONCE_BYTES, plainSize, SEALED_CHUNK_BYTES } from '../../shared/age-payload.js'
import { EssError } from '../../shared/index.js'
import type { OpenHeader } from './age.js'
import { openChunk, payloadKey } from './payload.js'

/** What opens a sealed body: an age file, of which the header was opened already. */
export interface Seal {
  /** What the body must begin with: the header, and the nonce of the payload. */
  readonly begin: Uint8Array
  /** The key of the payload. */
  readonly key: Uint8Array
}

export function makeSeal({ header, fileKey }: OpenHeader, nonce: Uint8Array): Seal {
  const begin = new Uint8Array(header.length + PAYLOAD_NONCE_BYTES)
  begin.set(header)
  begin.set(nonce, header.length)
  return { begin, key: payloadKey(fileKey, nonce) }
}

/**
 * The bytes inside a body of that many bytes. Undefined if the body's size is not known. Throws EssError `not-authentic`
 * if no sealed body has that size.
 */
export function sizeInside({ begin }: Seal, bodySize: number | undefined): number | undefined {
  if (bodySize === undefined) return undefined
  const size = plainSize(bodySize - begin.length)
  if (size === undefined) throw notSealed()
  return size
}

/** Opens a sealed body as it comes, over any number of requests. Every byte that comes out is authentic. */
export class SealedOpener {
  readonly #seal: Seal
  /** How many bytes of the header and the nonce were compared. */
  #compared = 0
  #index = 0
  /** The begin of the chunk that is not complete yet, or may be the last one. */
  readonly #begun = new Uint8Array(SEALED_CHUNK_BYTES)
  #begunBytes = 0
  /** Used again for each chunk: a browser that has to make gigabytes of garbage keeps much of it. */
  readonly #plain = new Uint8Array(SEALED_CHUNK_BYTES)

  constructor(seal: Seal) {
    this.#seal = seal
  }

  /**
   * Takes the next bytes of the body, and gives the chunks that they complete. Each is valid until the next one is asked
   * for. A full chunk waits until the next byte, or the end, tells whether it is the last one. Throws EssError `not-authentic` at the first
   * chunk that doesn't open; then the opener is of no further use.
   */
  *push(bytes: Uint8Array): Generator<Uint8Array<ArrayBuffer>, void> {
    const { begin } = this.#seal
    let at = 0
    for (; at < bytes.length && this.#compared < begin.length; at++, this.#compared++)
      if (bytes[at] !== begin[this.#compared]) throw notSealed()
    for (;;) {
      const room = SEALED_CHUNK_BYTES - this.#begunBytes
      const taken = bytes.subarray(at, at + room)
      this.#begun.set(taken, this.#begunBytes)
      this.#begunBytes += taken.length
      at += taken.length
      if (at === bytes.length) return
      const plain = this.#opened(false)
      if (plain === undefined) throw notSealed()
      this.#index++
      this.#begunBytes = 0
      yield plain
    }
  }

  /** The last chunk, if the body ends here. Undefined if it doesn't: its rest is missing, or was changed. */
  last(): Uint8Array<ArrayBuffer> | undefined {
    return this.#compared < this.#seal.begin.length ? undefined : this.#opened(true)
  }

  #opened(isLast: boolean): Uint8Array<ArrayBuffer> | undefined {
    const sealed = this.#begun.subarray(0, this.#begunBytes)
    // It is a part of our own memory, which is not shared.
    return openChunk(this.#seal.key, this.#index, isLast, sealed, this.#plain) as
      | Uint8Array<ArrayBuffer>
      | undefined
  }
}

function notSealed(): EssError {
  return new EssError('not-authentic')
}
