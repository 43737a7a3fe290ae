import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  isSocketId,
  NODE_TAG_LENGTH,
  SIGNED_TOKEN_LENGTH,
  SOCKET_ID_LENGTH,
  UPLOAD_TOKEN_LENGTH,
  UPLOAD_TOKEN_PATTERN,
} from '../../shared/index.js'

const ALPHANUMERIC = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789']
const BASE64URL = [...ALPHANUMERIC, '-', '_']

const end = fc.constantFrom(...ALPHANUMERIC)
const middle = fc.string({
  unit: fc.constantFrom(...BASE64URL),
  minLength: SOCKET_ID_LENGTH - 2,
  maxLength: SOCKET_ID_LENGTH - 2,
})
const id = fc.tuple(end, middle, end).map((parts) => parts.join(''))

describe('an id', () => {
  test('is 12 characters of base64url with a letter or digit at both ends', () => {
    fc.assert(fc.property(id, (text) => isSocketId(text)))
  })

  test('of another length is none', () => {
    const other = fc
      .string({ unit: fc.constantFrom(...ALPHANUMERIC), maxLength: 30 })
      .filter(({ length }) => length !== SOCKET_ID_LENGTH && length !== SOCKET_ID_LENGTH + NODE_TAG_LENGTH)
    fc.assert(fc.property(other, (text) => !isSocketId(text)))
  })

  test('may have the tag of a node behind it: three letters or digits', () => {
    const tag = fc.string({ unit: end, minLength: NODE_TAG_LENGTH, maxLength: NODE_TAG_LENGTH })
    fc.assert(fc.property(id, tag, (text, ending) => isSocketId(text + ending)))
    for (const ending of ['a', 'ab', 'abcd', 'ab-', '_bc', 'a.c'])
      expect(isSocketId(`AbCdEfGhIjKl${ending}`)).toBe(false)
  })

  test('with any one character from outside the alphabet is none', () => {
    const stranger = fc
      .integer({ min: 0, max: 0x10ffff })
      .map((point) => String.fromCodePoint(point))
      .filter((character) => !BASE64URL.includes(character))
    const spoilt = fc
      .tuple(id, fc.nat(SOCKET_ID_LENGTH - 1), stranger)
      .map(([text, at, character]) => text.slice(0, at) + character + text.slice(at + 1))
    fc.assert(fc.property(spoilt, (text) => !isSocketId(text)))
  })

  test.each([
    ['begins with a dash, which would be an option', '-bcdefghijkl'],
    ['begins with an underscore', '_bcdefghijkl'],
    ['ends with a dash, which a sentence would lose', 'abcdefghijk-'],
    ['ends with an underscore', 'abcdefghijk_'],
    ['has a newline behind it', 'abcdefghijkl\n'],
    ['has a line before it', 'x\nabcdefghijkl'],
    ['is padded', 'abcdefghij=='],
  ])('is none when it %s', (_why, text) => {
    expect(isSocketId(text)).toBe(false)
  })
})

describe('a token', () => {
  test.each([UPLOAD_TOKEN_LENGTH, SIGNED_TOKEN_LENGTH])('has %i characters of base64url', (length) => {
    const token = fc.string({ unit: fc.constantFrom(...BASE64URL), minLength: length, maxLength: length })
    fc.assert(fc.property(token, (text) => UPLOAD_TOKEN_PATTERN.test(text)))
  })

  test('of another length is none', () => {
    const lengths = [UPLOAD_TOKEN_LENGTH, SIGNED_TOKEN_LENGTH]
    for (let length = 0; length < 60; length++)
      expect(UPLOAD_TOKEN_PATTERN.test('x'.repeat(length)), `${length}`).toBe(lengths.includes(length))
  })
})
