import { CHUNK_BYTES, PAYLOAD_NONCE_BYTES, SEALED_CHUNK_BYTES, sealedSize } from '../../shared/age-payload.js'
import { SealedTags } from '../../shared/sealed-tags.js'
import type { OpenHeader } from './age.js'
import type { Body } from './body.js'
import { payloadKey, sealChunk } from './payload.js'
import { nextTurn } from './turns.js'

/** Some 5 ms of work, after which the page may paint, and answer the person. */
const CHUNKS_A_TURN = 8

/** A body, and the nonce that is in its note. */
export interface Sealed {
  readonly body: Body
  readonly payloadNonce: Uint8Array
}

/** Seals a body: an age file with this header. Take a new header for each body. */
export function sealBody(plain: Body, { header, fileKey }: OpenHeader): Sealed {
  const payloadNonce = crypto.getRandomValues(new Uint8Array(PAYLOAD_NONCE_BYTES))
  const key = payloadKey(fileKey, payloadNonce)
  const head = new Uint8Array(header.length + PAYLOAD_NONCE_BYTES)
  head.set(header)
  head.set(payloadNonce, header.length)
  const tags = new SealedTags()
  const size = head.length + sealedSize(plain.size)
  const lastIndex = Math.max(0, Math.ceil(plain.size / CHUNK_BYTES) - 1)

  /** Seals whole chunks, from this one up to before that one. */
  async function sealChunks(first: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const plainEnd = Math.min(end * CHUNK_BYTES, plain.size)
    const chunks = await plain.read(first * CHUNK_BYTES, plainEnd)
    const sealed = new Uint8Array(
      Math.min(end * SEALED_CHUNK_BYTES, size - head.length) - first * SEALED_CHUNK_BYTES,
    )
    let at = 0
    for (let index = first; index < end; index++) {
      if ((index - first) % CHUNKS_A_TURN === CHUNKS_A_TURN - 1) await nextTurn()
      const from = (index - first) * CHUNK_BYTES
      at = sealChunk(key, index, index === lastIndex, chunks.subarray(from, from + CHUNK_BYTES), sealed, at)
      tags.check(index, sealed, at)
    }
    return sealed
  }

  return {
    payloadNonce,
    body: {
      size,
      async read(from, to) {
        const begin = head.subarray(from, to)
        const [payloadFrom, payloadTo] = [Math.max(0, from - head.length), to - head.length]
        const bytes = new Uint8Array(to - from)
        bytes.set(begin)
        if (payloadTo <= payloadFrom) return bytes
        const first = Math.floor(payloadFrom / SEALED_CHUNK_BYTES)
        const sealed = await sealChunks(first, Math.ceil(payloadTo / SEALED_CHUNK_BYTES))
        const start = first * SEALED_CHUNK_BYTES
        bytes.set(sealed.subarray(payloadFrom - start, payloadTo - start), begin.length)
        return bytes
      },
      confirm: (ms) => plain.confirm(ms),
      // At the end of a chunk, so that none is sealed for two pieces.
      pieceEnd(from, bytes) {
        const chunks = Math.max(1, Math.floor((from + bytes - head.length) / SEALED_CHUNK_BYTES))
        const end = head.length + chunks * SEALED_CHUNK_BYTES
        return Math.min(end > from ? end : from + bytes, size)
      },
    },
  }
}
