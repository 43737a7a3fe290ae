import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openHeader } from '../../../client/seal/age.js'
import { CHUNK_BYTES, SEALED_CHUNK_BYTES } from '../../../client/seal/payload.js'
import { headerOfNote, readNote } from '../../../client/seal/sealed-note.js'
import { sealedSource } from '../../../client/seal/sealed-source.js'
import { KeptBlocks } from '../../../client/send/kept-blocks.js'
import type { Source } from '../../../client/send/source.js'
import { headerEnd } from '../../../shared/age-header.js'
import { bytesOf } from '../../helpers/bytes.js'
import { type BytesSourceOptions, bytesSource, newKey, openBytes, readFrom } from '../../helpers/sealing.js'

const { identity, header } = await newKey()

/** Sealed bytes, as the sender's source. */
function sealed(content: Buffer, options?: BytesSourceOptions): Source {
  return sealedSource(bytesSource(content, options), 'a name.bin', header)
}

const SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 10 * CHUNK_BYTES] as const
const anySize = fc.oneof(fc.constantFrom(...SIZES), fc.nat(3 * CHUNK_BYTES))
const anyBlocks = fc.array(fc.oneof(fc.integer({ min: 1, max: 200_000 }), fc.constant(CHUNK_BYTES)), {
  minLength: 1,
  maxLength: 5,
})

describe('a sealed source', () => {
  test.each(SIZES)('of %i bytes has the size that it says, and opens', async (size) => {
    const content = bytesOf(size)
    const source = sealed(content)
    const file = await readFrom(source, 0)
    expect(file.length).toBe(source.size)
    expect((await openBytes(file, { identities: [identity] })).equals(content)).toBe(true)
  })

  test('gives the same bytes from any offset on, however the blocks come', async () => {
    await fc.assert(
      fc.asyncProperty(
        anySize,
        anyBlocks,
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (size, blockBytes, where) => {
          const source = sealed(bytesOf(size), { blockBytes })
          const whole = await readFrom(source, 0)
          const from = Math.round(where * whole.length)
          expect((await readFrom(source, from)).equals(whole.subarray(from))).toBe(true)
        },
      ),
    )
  })

  test('gives the same bytes from the edges of its chunks on, and from the end nothing', async () => {
    const source = sealed(bytesOf(3 * CHUNK_BYTES))
    const whole = await readFrom(source, 0)
    const headBytes = whole.length - 3 * SEALED_CHUNK_BYTES
    const edges = [0, 1, headBytes, ...[1, 2, 3].map((chunks) => headBytes + chunks * SEALED_CHUNK_BYTES)]
    for (const from of edges.flatMap((edge) => [edge - 1, edge, edge + 1])) {
      if (from < 0 || from > whole.length) continue
      expect((await readFrom(source, from)).equals(whole.subarray(from)), `from ${from}`).toBe(true)
    }
  })

  test('makes the same of a stream whose size is not known', async () => {
    await fc.assert(
      fc.asyncProperty(anySize, anyBlocks, async (size, blockBytes) => {
        const content = bytesOf(size)
        const source = sealed(content, { blockBytes, size: undefined })
        expect(source.size).toBeUndefined()
        const file = await readFrom(source, 0)
        expect((await openBytes(file, { identities: [identity] })).equals(content)).toBe(true)
      }),
    )
  })

  test('hides the name, the type and that it is a bundle in its note', async () => {
    const source = sealed(bytesOf(1000), { type: 'application/x-tar', bundle: { entries: 3 } })
    expect([source.name, source.type, source.bundle]).toEqual([undefined, undefined, undefined])
    const { sealed: note = '' } = source
    const { fileKey } = await openHeader(headerOfNote(note), { identities: [identity] })
    const file = await readFrom(source, 0)
    const end = headerEnd(file) ?? 0
    expect(headerOfNote(note).equals(file.subarray(0, end))).toBe(true)
    expect(readNote(note, fileKey)).toEqual({
      name: 'a name.bin',
      type: 'application/x-tar',
      size: 1000,
      payloadNonce: file.subarray(end, end + 16),
      bundle: { entries: 3 },
    })
  })

  test('never has the same nonce twice, though the header is the same', async () => {
    const [one, other] = [sealed(bytesOf(10)), sealed(bytesOf(10))]
    expect((await readFrom(one, 0)).equals(await readFrom(other, 0))).toBe(false)
  })
})

describe('how far back it can go', () => {
  test.each([
    [undefined, undefined],
    [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    [16 * CHUNK_BYTES, 14 * CHUNK_BYTES],
    [CHUNK_BYTES, undefined],
  ])('with a plaintext that reaches %s: %s', (reach, expected) => {
    const { reach: _, ...plain } = bytesSource(bytesOf(10))
    const source = sealedSource(reach === undefined ? plain : { ...plain, reach }, undefined, header)
    expect(source.reach).toBe(expected)
  })

  test('it does reach, whatever was read', async () => {
    const reach = 8 * CHUNK_BYTES
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: CHUNK_BYTES }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (step, where) => {
          const content = bytesOf(20 * CHUNK_BYTES + 5)
          // Keeps what it has to, and not a byte more.
          let furthest = 0
          const plain: Source = {
            ...bytesSource(content),
            reach,
            async *read(from = 0) {
              if (from < furthest - reach) throw new Error(`It went back from ${furthest} to ${from}`)
              for await (const block of bytesSource(content, { blockBytes: [step] }).read(from)) {
                furthest = Math.max(furthest, from + block.length)
                from += block.length
                yield block
              }
            },
          }
          const source = sealedSource(plain, undefined, header)
          let read = 0
          for await (const block of source.read()) {
            read += block.length
            if (read > where * (content.length + 500)) break
          }
          const from = Math.max(0, read - Number(source.reach))
          const { value } = await source.read(from).next()
          expect(value?.length).toBeGreaterThan(0)
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('a plaintext that has changed', () => {
  test('is not sealed again with the same key, even if nothing else shows it', async () => {
    const content = bytesOf(5 * CHUNK_BYTES)
    const source = sealed(content)
    const before = await readFrom(source, 0)
    const headBytes = before.length - 5 * SEALED_CHUNK_BYTES
    const at = 3 * CHUNK_BYTES + 7
    content[at] = (content[at] ?? 0) ^ 1
    const out: Buffer[] = []
    const reading = (async () => {
      for await (const block of source.read(headBytes + 2 * SEALED_CHUNK_BYTES)) out.push(Buffer.from(block))
    })()
    await expect(reading).rejects.toMatchObject({ code: 'file-changed' })
    // What came out before is the same as the first time.
    const again = Buffer.concat(out)
    expect(
      before
        .subarray(before.length - 3 * SEALED_CHUNK_BYTES)
        .subarray(0, again.length)
        .equals(again),
    ).toBe(true)
    expect(again.length).toBeLessThanOrEqual(SEALED_CHUNK_BYTES)
  })

  test('is found when it ends elsewhere than before', async () => {
    const content = bytesOf(2 * CHUNK_BYTES)
    let isShorter = false
    const source = sealedSource(
      {
        ...bytesSource(content),
        async *read(from = 0) {
          yield* bytesSource(isShorter ? content.subarray(0, CHUNK_BYTES) : content).read(from)
        },
      },
      undefined,
      header,
    )
    await readFrom(source, 0)
    isShorter = true
    await expect(readFrom(source, 0)).rejects.toMatchObject({ code: 'file-changed' })
  })
})

test('a reader of a stream that another one follows makes no end of it', async () => {
  const content = bytesOf(3 * CHUNK_BYTES + 100)
  let release = () => {}
  const more = new Promise<void>((resolve) => {
    release = resolve
  })
  async function* slowly() {
    yield content.subarray(0, 2 * CHUNK_BYTES + 50)
    await more
    yield content.subarray(2 * CHUNK_BYTES + 50)
  }
  const kept = new KeptBlocks(slowly(), content.length)
  const source = sealedSource(
    { name: undefined, size: undefined, read: (from = 0) => kept.read(from), close: async () => {} },
    undefined,
    header,
  )
  const first = readFrom(source, 0)
  // It has taken the first block, and waits for the next one.
  await delay(20)
  const second = readFrom(source, 0)
  await delay(20)
  release()
  const file = await second
  expect((await openBytes(file, { identities: [identity] })).equals(content)).toBe(true)
  // All but the chunk that was begun, and no last one.
  expect((await first).equals(file.subarray(0, (headerEnd(file) ?? 0) + 16 + 2 * SEALED_CHUNK_BYTES))).toBe(
    true,
  )
})

test('two readers of a file each get all of it', async () => {
  const content = bytesOf(3 * CHUNK_BYTES)
  const source = sealed(content, { blockBytes: [50_000] })
  const [first, second] = await Promise.all([readFrom(source, 0), readFrom(source, 1000)])
  expect((await openBytes(first, { identities: [identity] })).equals(content)).toBe(true)
  expect(second.equals(first.subarray(1000))).toBe(true)
})
