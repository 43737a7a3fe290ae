import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  CHUNK_BYTES,
  openChunk,
  PAYLOAD_NONCE_BYTES,
  plainSize,
  SEALED_CHUNK_BYTES,
  sealChunk,
  sealedSize,
} from '../../../client/seal/payload.js'
import { headerEnd } from '../../../shared/age-header.js'
import { bytesOf } from '../../helpers/bytes.js'
import { openBytes, sealBytes } from '../../helpers/sealing.js'

const KIB = 1024
const KEY = bytesOf(32)

describe('sizes', () => {
  test.each([
    [0, 16],
    [1, 17],
    [64 * KIB - 1, 64 * KIB + 15],
    [64 * KIB, 64 * KIB + 16],
    [64 * KIB + 1, 64 * KIB + 33],
    [640 * KIB, 640 * KIB + 160],
  ])('of %i bytes are %i sealed, and back', async (plain, sealed) => {
    expect(sealedSize(plain)).toBe(sealed)
    expect(plainSize(sealed)).toBe(plain)
    const { file } = await sealBytes(bytesOf(plain))
    expect(file.length - (headerEnd(file) ?? 0) - PAYLOAD_NONCE_BYTES).toBe(sealed)
  })

  test.each([0, 15, SEALED_CHUNK_BYTES + 1, SEALED_CHUNK_BYTES + 16])(
    '%i is the size of no payload',
    (sealed) => {
      expect(plainSize(sealed)).toBeUndefined()
    },
  )

  test('are foretold for every size, and back', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 45), (plain) => {
        expect(plainSize(sealedSize(plain))).toBe(plain)
      }),
    )
  })
})

describe('a chunk', () => {
  function sealed(plain: Buffer, index: number, isLast: boolean): Buffer {
    const into = Buffer.alloc(plain.length + 16)
    expect(sealChunk(KEY, index, isLast, plain, into, 0)).toBe(into.length)
    return into
  }

  test.each([0, 1, 255, 256, 65_536, 2 ** 32, 2 ** 47])('opens at its own place: %i', (index) => {
    const plain = bytesOf(CHUNK_BYTES)
    const chunk = sealed(plain, index, false)
    expect(openChunk(KEY, index, false, chunk)).toEqual(plain)
    expect(openChunk(KEY, index + 1, false, chunk)).toBeUndefined()
    expect(openChunk(KEY, index, true, chunk)).toBeUndefined()
    expect(openChunk(bytesOf(32, 2), index, false, chunk)).toBeUndefined()
  })

  test('that is short, or long, opens nowhere', () => {
    const last = sealed(bytesOf(100), 0, true)
    expect(openChunk(KEY, 0, true, last)).toHaveLength(100)
    expect(openChunk(KEY, 0, true, last.subarray(1))).toBeUndefined()
    expect(openChunk(KEY, 0, true, last.subarray(0, 15))).toBeUndefined()
    const short = sealed(bytesOf(100), 0, false)
    expect(openChunk(KEY, 0, false, short)).toBeUndefined()
    const long = sealed(bytesOf(CHUNK_BYTES + 1), 0, true)
    expect(openChunk(KEY, 0, true, long)).toBeUndefined()
  })

  test('may be empty only as the last one of an empty file', () => {
    expect(openChunk(KEY, 0, true, sealed(Buffer.alloc(0), 0, true))).toHaveLength(0)
    expect(openChunk(KEY, 1, true, sealed(Buffer.alloc(0), 1, true))).toBeUndefined()
  })

  test('beyond what a counter of 48 bits can say is refused, not sealed under another number', () => {
    expect(() => sealed(Buffer.alloc(1), 2 ** 48, true)).toThrow(RangeError)
  })
})

describe('of the chunks of a file, one that was', async () => {
  const CHUNKS = 4
  const content = bytesOf(CHUNKS * CHUNK_BYTES - 1000)
  const { file, identity } = await sealBytes(content)
  const headBytes = (headerEnd(file) ?? 0) + PAYLOAD_NONCE_BYTES
  const head = file.subarray(0, headBytes)
  const chunks = Array.from({ length: CHUNKS }, (_, at) =>
    file.subarray(headBytes + at * SEALED_CHUNK_BYTES, headBytes + (at + 1) * SEALED_CHUNK_BYTES),
  )

  /** The file must fail, and what comes out before must be a part of the content that ends at chunk `until`. */
  async function expectRefused(parts: readonly Uint8Array[], until: number): Promise<void> {
    const out: Buffer[] = []
    const opening = openBytes(Buffer.concat([head, ...parts]), { identities: [identity] }, (chunk) =>
      out.push(chunk),
    )
    await expect(opening).rejects.toMatchObject({ code: 'not-authentic' })
    expect(Buffer.concat(out).equals(content.subarray(0, until * CHUNK_BYTES))).toBe(true)
  }
  const place = fc.nat(CHUNKS - 1)

  test('changed in any bit is found', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - headBytes - 1), fc.nat(7), async (at, bit) => {
        const payload = Buffer.from(file.subarray(headBytes))
        payload[at] = (payload[at] ?? 0) ^ (1 << bit)
        await expectRefused([payload], Math.floor(at / SEALED_CHUNK_BYTES))
      }),
    )
  })

  test('dropped is found', async () => {
    for (let at = 0; at < CHUNKS; at++)
      await expectRefused([...chunks.slice(0, at), ...chunks.slice(at + 1)], Math.min(at, CHUNKS - 2))
  })

  test('repeated is found', async () => {
    await fc.assert(
      fc.asyncProperty(place, place, async (which, at) => {
        const repeated = chunks[which] ?? head
        const parts = [...chunks.slice(0, at), repeated, ...chunks.slice(at)]
        // At its own place the first of the two is the true one, but for the last, which is not at the end then.
        const until = which === at && at < CHUNKS - 1 ? at + 1 : at
        await expectRefused(parts, until)
      }),
    )
  })

  test('swapped with another is found', async () => {
    await fc.assert(
      fc.asyncProperty(place, place, async (one, other) => {
        fc.pre(one !== other)
        const parts = [...chunks]
        parts[one] = chunks[other] ?? head
        parts[other] = chunks[one] ?? head
        await expectRefused(parts, Math.min(one, other))
      }),
    )
  })

  test('cut off anywhere is found', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(file.length - headBytes - 1), async (length) => {
        // Of whole chunks, the last one is refused, because it had to be marked.
        await expectRefused(
          [file.subarray(headBytes, headBytes + length)],
          Math.max(0, Math.ceil(length / SEALED_CHUNK_BYTES) - 1),
        )
      }),
    )
  })

  test('taken from another file with the same key is found', async () => {
    const other = await sealBytes(content)
    await expectRefused([other.file.subarray(headBytes)], 0)
  })
})
