import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'

/**
 * The payload of an age file (age-encryption.org/v1, "Payload"): a nonce, and then STREAM, which is chunks of 64 KiB,
 * each with its own tag. By OpenSSL, which takes a seventh of the time that JavaScript takes.
 */
export const CHUNK_BYTES = 64 * 1024
export const TAG_BYTES = 16
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES

/** The bytes before the first chunk. They go into the key, and must be random for every payload. */
export const PAYLOAD_NONCE_BYTES = 16

const CIPHER = 'chacha20-poly1305'
const CIPHER_OPTIONS = { authTagLength: TAG_BYTES } as const
const KEY_BYTES = 32

/**
 * Gives the key of a payload. `info` is that of a file's own payload, unless another kind of payload is sealed with the same
 * file key: then neither can be taken for the other.
 */
export function payloadKey(fileKey: Uint8Array, payloadNonce: Uint8Array, info = 'payload'): Buffer {
  return Buffer.from(hkdfSync('sha256', fileKey, payloadNonce, info, KEY_BYTES))
}

/** A chunk's nonce: eleven bytes count the chunks, and the last byte is 1 for the last one. */
const chunkNonce = Buffer.alloc(12)
const MAX_INDEX = 2 ** 48

/** The cipher copies it, so one serves for all. */
function nonceOf(index: number, isLast: boolean): Buffer {
  if (index >= MAX_INDEX) throw new RangeError(`Expected a chunk below 2^48, got ${index}`)
  chunkNonce.writeUIntBE(index, 5, 6)
  chunkNonce[11] = isLast ? 1 : 0
  return chunkNonce
}

/**
 * Seals a chunk into `into` at `at`, and gives the offset behind it. Every chunk but the last has 64 KiB, and the last
 * one may be empty only if it is the first. The same key, index and flag must never seal two different chunks.
 */
export function sealChunk(
  key: Uint8Array,
  index: number,
  isLast: boolean,
  plain: Uint8Array,
  into: Uint8Array,
  at: number,
): number {
  const cipher = createCipheriv(CIPHER, key, nonceOf(index, isLast), CIPHER_OPTIONS)
  into.set(cipher.update(plain), at)
  cipher.final()
  const tagAt = at + plain.length
  into.set(cipher.getAuthTag(), tagAt)
  return tagAt + TAG_BYTES
}

/** Opens a chunk. Undefined if it is not the one that was sealed at this place. */
export function openChunk(
  key: Uint8Array,
  index: number,
  isLast: boolean,
  sealed: Uint8Array,
): Buffer | undefined {
  if (isLast ? !isPossibleLast(index, sealed.length) : sealed.length !== SEALED_CHUNK_BYTES) return undefined
  const tagAt = sealed.length - TAG_BYTES
  const decipher = createDecipheriv(CIPHER, key, nonceOf(index, isLast), CIPHER_OPTIONS)
  decipher.setAuthTag(sealed.subarray(tagAt))
  const plain = decipher.update(sealed.subarray(0, tagAt))
  try {
    decipher.final()
  } catch {
    // The tag is wrong, and so nothing of it may be seen.
    return undefined
  }
  return plain
}

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
