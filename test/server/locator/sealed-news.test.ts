import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SealedNews } from '../../../server/locator/sealed-news.js'

test('news come out as they went in', () => {
  const [one, other] = [new SealedNews('secret'), new SealedNews('secret')]
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (news) => other.open(one.seal(news)) === news))
})

test('news of another secret, changed or cut, are none', () => {
  const news = new SealedNews('secret')
  const sealed = news.seal('192.0.2.7 has all it may have')
  expect(new SealedNews('another').open(sealed)).toBe(undefined)
  const bytes = Buffer.from(sealed, 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed.writeUInt8((changed[at] ?? 0) ^ 1, at)
    expect(news.open(changed.toString('base64url'))).toBe(undefined)
    expect(news.open(bytes.subarray(0, at).toString('base64url'))).toBe(undefined)
  }
  for (const other of ['', ' ', 'x', '..']) expect(news.open(other)).toBe(undefined)
})

test('the same news never look the same', () => {
  const news = new SealedNews('secret')
  expect(news.seal('192.0.2.7')).not.toBe(news.seal('192.0.2.7'))
})
