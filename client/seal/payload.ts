import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto'
import {
  isChunkSize,
  nonceOfChunk,
  PAYLOAD_KEY_BYTES,
  PAYLOAD_KEY_INFO,
  TAG_BYTES,
} from '../../shared/age-payload.js'

export {
  CHUNK_BYTES,
  PAYLOAD_NONCE_BYTES,
  plainSize,
  SEALED_CHUNK_BYTES,
  sealedSize,
  TAG_BYTES,
} from '../../shared/age-payload.js'

/*
 * The payload of an age file by OpenSSL, which takes a seventh of the time that JavaScript takes.
 */

const CIPHER = 'chacha20-poly1305'
const CIPHER_OPTIONS = { authTagLength: TAG_BYTES } as const

/**
 * Gives the key of a payload. `info` is that of a file's own payload, unless another kind of payload is sealed with the same
 * file key: then neither can be taken for the other.
 */
export function payloadKey(fileKey: Uint8Array, payloadNonce: Uint8Array, info = PAYLOAD_KEY_INFO): Buffer {
  return Buffer.from(hkdfSync('sha256', fileKey, payloadNonce, info, PAYLOAD_KEY_BYTES))
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
  const cipher = createCipheriv(CIPHER, key, nonceOfChunk(index, isLast), CIPHER_OPTIONS)
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
  if (!isChunkSize(index, isLast, sealed.length)) return undefined
  const tagAt = sealed.length - TAG_BYTES
  const decipher = createDecipheriv(CIPHER, key, nonceOfChunk(index, isLast), CIPHER_OPTIONS)
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
