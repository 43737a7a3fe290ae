/*
 * The payload of an age file (age-encryption.org/v1, "Payload"): a nonce, and then STREAM, which is chunks of 64 KiB,
 * each with its own tag. Here is where each byte is; each side has a cipher of its own.
 */

export const CHUNK_BYTES = 64 * 1024
export const TAG_BYTES = 16
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES

/** The bytes before the first chunk. They go into the key, and must be random for every payload. */
export const PAYLOAD_NONCE_BYTES = 16

/** The key of a payload comes from its file key and its nonce by HKDF-SHA256, with this for its info. */
export const PAYLOAD_KEY_INFO = 'payload'
export const PAYLOAD_KEY_BYTES = 32

/** A chunk's nonce: eleven bytes count the chunks, and the last byte is 1 for the last one. */
const chunkNonce = new Uint8Array(12)
const chunkNonceView = new DataView(chunkNonce.buffer)
const MAX_INDEX = 2 ** 48

/** The nonce of a chunk. It is valid until the next call: a cipher copies it. Throws RangeError from chunk 2^48 on. */
export function nonceOfChunk(index: number, isLast: boolean): Uint8Array<ArrayBuffer> {
  if (index >= MAX_INDEX) throw new RangeError(`Expected a chunk below 2^48, got ${index}`)
  chunkNonceView.setUint16(5, Math.floor(index / 2 ** 32))
  chunkNonceView.setUint32(7, index % 2 ** 32)
  chunkNonce[11] = isLast ? 1 : 0
  return chunkNonce
}

/** True if a chunk at this place may have so many bytes when it is sealed. */
export function isChunkSize(index: number, isLast: boolean, sealedBytes: number): boolean {
  return isLast ? isPossibleLast(index, sealedBytes) : sealedBytes === SEALED_CHUNK_BYTES
}

/** Only the last chunk of an empty file is empty. */
function isPossibleLast(index: number, length: number): boolean {
  return length <= SEALED_CHUNK_BYTES && length >= TAG_BYTES && (length > TAG_BYTES || index === 0)
}

/** Bytes of all sealed chunks of that many bytes. */
export function sealedSize(plainSize: number): number {
  return plainSize + TAG_BYTES * Math.max(1, Math.ceil(plainSize / CHUNK_BYTES))
}

/** The other way round; undefined if no payload has that size. */
export function plainSize(sealedSize: number): number | undefined {
  const whole = Math.floor(sealedSize / SEALED_CHUNK_BYTES)
  const rest = sealedSize - whole * SEALED_CHUNK_BYTES
  if (rest === 0) return whole === 0 ? undefined : whole * CHUNK_BYTES
  if (!isPossibleLast(whole, rest)) return undefined
  return whole * CHUNK_BYTES + rest - TAG_BYTES
}
