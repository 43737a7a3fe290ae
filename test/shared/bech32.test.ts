import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isBech32 } from '../../shared/bech32.js'

// BIP 173, "Test vectors".
test.each([
  'A12UEL5L',
  'a12uel5l',
  'an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs',
  'abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw',
  '11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j',
  'split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w',
  '?1ezyfcl',
])('%s is Bech32', (text) => {
  expect(isBech32(text)).toBe(true)
})

test.each([
  '\u{20}1nwldj5',
  '\u{7f}1axkwrx',
  '\u{80}1eym55h',
  'pzry9x0s0muk',
  '1pzry9x0s0muk',
  'x1b4n0q5v',
  'li1dgmt3',
  'de1lg7wt\u{ff}',
  'A1G7SGD8',
  '10a06t8',
  '1qzzfhee',
  'a12UEL5L',
  '',
])('%j is not', (text) => {
  expect(isBech32(text)).toBe(false)
})

test('keys of age are, and none of them with one or two other characters', async () => {
  for (let count = 0; count < 20; count++) {
    const identity = await generateX25519Identity()
    expect(isBech32(identity)).toBe(true)
    expect(isBech32(await identityToRecipient(identity))).toBe(true)
    const at = fc.nat(57)
    const character = fc.constantFrom(...'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L')
    fc.assert(
      fc.property(fc.array(fc.tuple(at, character), { minLength: 1, maxLength: 2 }), (changes) => {
        const characters = [...identity]
        for (const [index, to] of changes) characters[16 + index] = to
        const changed = characters.join('')
        expect(isBech32(changed)).toBe(changed === identity)
      }),
    )
  }
})
