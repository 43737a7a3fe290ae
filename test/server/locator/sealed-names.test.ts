import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SealedNames } from '../../../server/locator/sealed-names.js'

test('a name comes out as it went in', () => {
  const [one, other] = [new SealedNames('secret'), new SealedNames('secret')]
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (name) => other.open(one.seal(name)) === name))
})

test('a name of another secret, changed or cut, is none', () => {
  const names = new SealedNames('secret')
  const sealed = names.seal('192.0.2.7')
  expect(new SealedNames('another').open(sealed)).toBe(undefined)
  const bytes = Buffer.from(sealed, 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed.writeUInt8((changed[at] ?? 0) ^ 1, at)
    expect(names.open(changed.toString('base64url'))).toBe(undefined)
    expect(names.open(bytes.subarray(0, at).toString('base64url'))).toBe(undefined)
  }
  for (const other of ['', ' ', 'x', '..']) expect(names.open(other)).toBe(undefined)
})

test('the same name never looks the same', () => {
  const names = new SealedNames('secret')
  expect(names.seal('192.0.2.7')).not.toBe(names.seal('192.0.2.7'))
})
