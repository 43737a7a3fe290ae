import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** The size of the piece that pseudo-random bytes are made of. */
const PIECE_BYTES = 1024 * 1024

/**
 * `size` bytes that look random and are the same every time, a piece at a time. Each piece carries its
 * number, so that a lost, doubled or swapped piece changes the hash. `seed` gives another sequence.
 */
export function* pieces(size: number, seed = 1): Generator<Buffer> {
  const pattern = xorshift(Math.min(size, PIECE_BYTES), seed)
  for (let offset = 0; offset < size; offset += PIECE_BYTES) {
    const piece = Buffer.from(pattern.subarray(0, size - offset))
    if (piece.length >= 4) piece.writeUInt32LE(offset / PIECE_BYTES)
    yield piece
  }
}

/** The bytes of `pieces` in one buffer. */
export function bytesOf(size: number, seed?: number): Buffer {
  return Buffer.concat([...pieces(size, seed)])
}

/** The bytes of `pieces` as a stream. */
export function streamOf(size: number, seed?: number): Readable {
  return Readable.from(pieces(size, seed))
}

/** Writes the bytes of `pieces` into a file, and gives their SHA-256. */
export async function writeFileOf(path: string, size: number, seed?: number): Promise<string> {
  const hash = createHash('sha256')
  async function* hashed() {
    for (const piece of pieces(size, seed)) {
      hash.update(piece)
      yield piece
    }
  }
  await pipeline(hashed, createWriteStream(path))
  return hash.digest('hex')
}

/** The SHA-256 of some bytes, in hex. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The SHA-256 of a file's bytes, in hex. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), hash)
  return hash.digest('hex')
}

/** Marsaglia's xorshift: enough not to compress or repeat within a piece, and fast. */
function xorshift(size: number, seed: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4))
  let state = seed || 1
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[index] = state
  }
  return Buffer.from(words.buffer, 0, size)
}
