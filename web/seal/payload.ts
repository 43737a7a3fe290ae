import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import {
  isChunkSize,
  nonceOfChunk,
  PAYLOAD_KEY_BYTES,
  PAYLOAD_KEY_INFO,
  TAG_BYTES,
} from '../../shared/age-payload.js'

/*
 * The payload of an age file by a cipher in JavaScript: browsers have no ChaCha20 of their own, and over plain HTTP to
 * another machine they have no ciphers at all.
 */

/**
 * Gives the key of a payload. `info` is that of a file's own payload, unless another kind of payload is sealed with the same
 * file key: then neither can be taken for the other.
 */
export function payloadKey(
  fileKey: Uint8Array,
  payloadNonce: Uint8Array,
  info = PAYLOAD_KEY_INFO,
): Uint8Array {
  return hkdf(sha256, fileKey, payloadNonce, new TextEncoder().encode(info), PAYLOAD_KEY_BYTES)
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
  const end = at + plain.length + TAG_BYTES
  chacha20poly1305(key, nonceOfChunk(index, isLast)).encrypt(plain, into.subarray(at, end))
  return end
}

/**
 * Opens a chunk, into `into` if that is given: memory for a chunk of any size. Undefined if it is not the one that was
 * sealed at this place.
 */
export function openChunk(
  key: Uint8Array,
  index: number,
  isLast: boolean,
  sealed: Uint8Array,
  into?: Uint8Array,
): Uint8Array | undefined {
  if (!isChunkSize(index, isLast, sealed.length)) return undefined
  try {
    return chacha20poly1305(key, nonceOfChunk(index, isLast)).decrypt(
      sealed,
      into?.subarray(0, sealed.length - TAG_BYTES),
    )
  } catch {
    // The tag is wrong, and so nothing of it may be seen.
    return undefined
  }
}
