import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makeHeader, openHeader } from '../../../client/seal/age.js'
import { PAYLOAD_NONCE_BYTES, payloadKey, sealChunk } from '../../../client/seal/payload.js'
import { headerOfNote, readNote, type SealedNote, sealNote } from '../../../client/seal/sealed-note.js'
import { isSealedNote, MAX_SEALED_NOTE, SEALED_NOTE_KEY_INFO } from '../../../shared/index.js'
import { newKey } from '../../helpers/sealing.js'

const { identity, recipient, header: sealing } = await newKey()
const payloadNonce = randomBytes(PAYLOAD_NONCE_BYTES)

/** A note, sealed and read again by whoever has the key. */
async function roundTrip(note: SealedNote): Promise<SealedNote> {
  const value = sealNote(sealing, note)
  expect(isSealedNote(value)).toBe(true)
  const { fileKey } = await openHeader(headerOfNote(value), { identities: [identity] })
  return readNote(value, fileKey)
}

/** A value whose sealed part is this text. */
function valueWith(text: string, info = SEALED_NOTE_KEY_INFO): string {
  const nonce = randomBytes(PAYLOAD_NONCE_BYTES)
  const sealed = Buffer.alloc(Buffer.byteLength(text) + 16)
  sealChunk(payloadKey(sealing.fileKey, nonce, info), 0, true, Buffer.from(text), sealed, 0)
  return Buffer.concat([sealing.header, nonce, sealed]).toString('base64url')
}

const optional = <T>(one: fc.Arbitrary<T>) => fc.option(one, { nil: undefined })

test('a note comes out as it was sealed', async () => {
  await fc.assert(
    fc.asyncProperty(
      optional(fc.string({ unit: 'grapheme', maxLength: 60 })),
      optional(fc.string({ maxLength: 127 })),
      optional(fc.maxSafeNat()),
      optional(fc.nat(999_999_999).map((entries) => ({ entries }))),
      async (name, type, size, bundle) => {
        const note = { name, type, size, payloadNonce, bundle }
        expect(await roundTrip(note)).toEqual(note)
      },
    ),
  )
})

test('two values of one note have nothing in common but the header', () => {
  const [one, other] = [1, 2].map(() => Buffer.from(sealNote(sealing, { payloadNonce }), 'base64url'))
  const at = sealing.header.length
  expect(one?.subarray(0, at).equals(sealing.header)).toBe(true)
  expect(one?.subarray(at).equals(other?.subarray(at) ?? Buffer.alloc(0))).toBe(false)
})

test('a type that is longer than any known one is left out', async () => {
  expect(await roundTrip({ type: 'a'.repeat(128), payloadNonce })).toEqual({ payloadNonce })
})

describe('a value that is not what was sealed is refused:', () => {
  const good = sealNote(sealing, { name: 'a.txt', payloadNonce })
  const changed = (at: number) => {
    const bytes = Buffer.from(good, 'base64url')
    bytes[at] = (bytes.at(at) ?? 0) ^ 1
    return bytes.toString('base64url')
  }
  test.each([
    ['empty', ''],
    ['no base64url', 'a+b/c='],
    ['padded', `${good}=`],
    ['no age file', Buffer.from('hello').toString('base64url')],
    ['a header without its end', sealing.header.subarray(0, -10).toString('base64url')],
    ['a header without a nonce', sealing.header.toString('base64url')],
    ['a bit of its nonce changed', changed(sealing.header.length)],
    ['a bit of its last byte changed', changed(Buffer.from(good, 'base64url').length - 1)],
    ['sealed as a body is', valueWith(`{"nonce":"${'A'.repeat(22)}"}`, 'payload')],
    ['cut short', good.slice(0, -4)],
    ['longer than 3 KiB', `${good}${'A'.repeat(MAX_SEALED_NOTE)}`],
    ['no JSON', valueWith('name=a')],
    ['no object', valueWith('null')],
    ['without a nonce', valueWith('{}')],
    ['with a short nonce', valueWith('{"nonce":"AAAA"}')],
    ['with a nonce that is no string', valueWith('{"nonce":1}')],
    ['with a nonce that is not canonical', valueWith(`{"nonce":"${'A'.repeat(21)}B"}`)],
    ['with a name that is no string', valueWith(`{"name":{},"nonce":"${'A'.repeat(22)}"}`)],
    ['with a type that is no string', valueWith(`{"type":1,"nonce":"${'A'.repeat(22)}"}`)],
    ['with a size below zero', valueWith(`{"size":-1,"nonce":"${'A'.repeat(22)}"}`)],
    ['with a size that is no number of bytes', valueWith(`{"size":1.5,"nonce":"${'A'.repeat(22)}"}`)],
    ['with a bundle that is no object', valueWith(`{"bundle":null,"nonce":"${'A'.repeat(22)}"}`)],
    [
      'with a bundle of more entries than a field could say',
      valueWith(`{"bundle":{"entries":1000000000},"nonce":"${'A'.repeat(22)}"}`),
    ],
    ['with a bundle without a number', valueWith(`{"bundle":{},"nonce":"${'A'.repeat(22)}"}`)],
  ])('%s', (_, value) => {
    expect(() => readNote(value, sealing.fileKey)).toThrow(expect.objectContaining({ code: 'not-authentic' }))
  })

  test('and one that says what a later version knows is taken', () => {
    const value = valueWith(`{"mood":"good","nonce":"${'A'.repeat(22)}"}`)
    expect(readNote(value, sealing.fileKey)).toEqual({ payloadNonce: Buffer.alloc(16) })
  })
})

describe('the room of 3 KiB', () => {
  /** The longest name that `safeFileName` lets through. */
  const LONG = `${'n'.repeat(235)}.jpeg`

  async function forMany(count: number) {
    return await makeHeader({ recipients: Array.from({ length: count }, () => recipient) })
  }
  const read = (value: string, fileKey: Buffer) => readNote(value, fileKey).name ?? ''

  test('has a place for the longest name and 18 recipients', async () => {
    const many = await forMany(18)
    const value = sealNote(many, { name: LONG, size: 2 ** 50, type: 'application/x-tar', payloadNonce })
    expect(read(value, many.fileKey)).toBe(LONG)
  })

  test('for more recipients, the name loses the end of its stem', async () => {
    const many = await forMany(20)
    const value = sealNote(many, { name: LONG, size: 2 ** 50, type: 'application/x-tar', payloadNonce })
    expect(value.length).toBeGreaterThan(MAX_SEALED_NOTE - 4)
    expect(value.length).toBeLessThanOrEqual(MAX_SEALED_NOTE)
    expect(read(value, many.fileKey)).toMatch(/^n{20,230}\.jpeg$/)
  })

  test('a name in a long script is cut between two characters', async () => {
    const many = await forMany(20)
    const name = `${'写'.repeat(78)}.png`
    const value = sealNote(many, { name, payloadNonce })
    expect(read(value, many.fileKey)).toMatch(/^写{10,77}\.png$/)
  })

  test('for too many, an error says how many there is room for, and so many do fit', async () => {
    const note = { name: LONG, size: 123_456_789, payloadNonce }
    const many = await forMany(60)
    expect(() => sealNote(many, note)).toThrow(
      expect.objectContaining({
        code: 'usage',
        message: expect.stringMatching(/^These are 60 recipients, and there is room for 21 of/),
      }),
    )
    expect(isSealedNote(sealNote(await forMany(21), note))).toBe(true)
    const oneMore = await forMany(22)
    expect(() => sealNote(oneMore, note)).toThrow(/room for 21 of/)
  })
})
