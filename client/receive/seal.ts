import { createHmac } from 'node:crypto'
import type { OpenHeader } from '../seal/age.js'
import { CHUNK_BYTES, payloadKey, plainSize, SEALED_CHUNK_BYTES, TAG_BYTES } from '../seal/payload.js'

/** What opens a sealed body: an age file, of which the header was opened already. */
export interface Seal {
  /** What the body must begin with: the header, and the nonce of the payload. */
  readonly begin: Buffer
  /** The key of the payload. */
  readonly key: Buffer
  /** Bytes of what is inside; undefined if the sender doesn't know. */
  readonly size: number | undefined
  /** True if another run can open it from the middle on, because the nonce is in the sender's note. */
  readonly isNoted: boolean
}

/** Where in a sealed body a download goes on that has the first bytes of what is inside. */
export interface Start {
  /** The offset in the body. */
  readonly at: number
  /** The chunk that begins there. */
  readonly index: number
  /** How many bytes of that chunk are here already. */
  readonly skip: number
}

export function makeSeal(
  { header, fileKey }: OpenHeader,
  nonce: Uint8Array,
  { size, isNoted }: Pick<Seal, 'size' | 'isNoted'>,
): Seal {
  return { begin: Buffer.concat([header, nonce]), key: payloadKey(fileKey, nonce), size, isNoted }
}

/**
 * The bytes inside a body of that many bytes: undefined if the body's size is not known, and NaN if no sealed body has
 * that size.
 */
export function sizeInside(begin: Buffer, bodySize: number | undefined): number | undefined {
  if (bodySize === undefined) return undefined
  return bodySize < begin.length ? Number.NaN : (plainSize(bodySize - begin.length) ?? Number.NaN)
}

/** How many of the bytes inside are in the first bytes of a body. */
export function bytesInside({ begin }: Seal, bodyBytes: number): number {
  const payloadBytes = Math.max(0, bodyBytes - begin.length)
  const index = Math.floor(payloadBytes / SEALED_CHUNK_BYTES)
  // Each chunk ends in its tag, the last one too.
  return index * CHUNK_BYTES + Math.max(0, payloadBytes - index * SEALED_CHUNK_BYTES - TAG_BYTES)
}

/**
 * Where to go on. At the end of a chunk it is that chunk again: it may be the last one, which proves that the file ends
 * there.
 */
export function startAfter({ begin }: Seal, bytes: number): Start {
  if (bytes === 0) return { at: 0, index: 0, skip: 0 }
  const index = Math.ceil(bytes / CHUNK_BYTES) - 1
  return {
    at: begin.length + index * SEALED_CHUNK_BYTES,
    index,
    skip: bytes - index * CHUNK_BYTES,
  }
}

/**
 * What the name of a sealed download's part has, beside the link's id. A server could give the same id to two transfers
 * for the same recipient; the rest of the one must not follow the beginning of the other. Nobody can choose a key that
 * gives the name of another, because it takes the other key to know that name.
 */
export function partIdOf(id: string, { key }: Seal): string {
  return `${id}.${createHmac('sha256', key).update('part').digest('hex').slice(0, 16)}`
}
