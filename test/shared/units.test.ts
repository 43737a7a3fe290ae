import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatBytes, formatDuration, parseByteSize } from '../../shared/index.js'

test.each([
  [0, '0 B'],
  [1, '1 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [1049, '1.0 kB'],
  [1050, '1.1 kB'],
  [999_949, '999.9 kB'],
  [999_950, '1.0 MB'],
  [1_000_000, '1.0 MB'],
  [42_000_000, '42.0 MB'],
  [999_949_999, '999.9 MB'],
  [999_950_000, '1.0 GB'],
  [2 ** 30, '1.1 GB'],
  [1.5e9, '1.5 GB'],
  [1e12, '1.0 TB'],
  [1e15, '1.0 PB'],
  [5e18, '5000.0 PB'],
])('%d bytes read as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text)
})

test.each([
  [-1, '0 s'],
  [0, '0 s'],
  [0.4, '0 s'],
  [0.5, '1 s'],
  [1, '1 s'],
  [59, '59 s'],
  [59.5, '1 min'],
  [60, '1 min'],
  [61, '1 min 1 s'],
  [570, '9 min 30 s'],
  [600, '10 min'],
  [3599, '59 min 59 s'],
  [3599.5, '1 h'],
  [3600, '1 h'],
  [3605, '1 h 5 s'],
  [3900, '1 h 5 min'],
  [3961, '1 h 6 min'],
  [90_000, '25 h'],
])('%d seconds read as %s', (seconds, text) => {
  expect(formatDuration(seconds)).toBe(text)
})

describe('a size that a person typed', () => {
  test.each([
    ['0', 0],
    ['1024', 1024],
    ['1b', 1],
    ['1k', 1000],
    ['1kB', 1000],
    ['1KB', 1000],
    ['64KiB', 65_536],
    [' 10 GiB ', 10 * 2 ** 30],
    ['10gib', 10 * 2 ** 30],
    ['1.5GB', 1_500_000_000],
    ['0.5KiB', 512],
    // In binary floating point this product is 1004999999.9999999.
    ['1.005GB', 1_005_000_000],
    ['1M', 1e6],
    ['1T', 1e12],
    ['1TiB', 2 ** 40],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ])('%j is %d bytes', (text, bytes) => {
    expect(parseByteSize(text)).toBe(bytes)
  })

  test.each([
    '',
    ' ',
    'many',
    'GiB',
    '-1',
    '+1',
    '1e3',
    '0x10',
    '1,5GB',
    '1.GB',
    '.5GB',
    '1 G B',
    '1XB',
    '1 constructor',
    '1 __proto__',
    'Infinity',
    'NaN',
    '9007199254740992',
    '9000TiB',
    // Not whole numbers of bytes.
    '0.5',
    '1.5B',
    '0.0001kB',
  ])('%j is none', (text) => {
    expect(parseByteSize(text)).toBeUndefined()
  })

  test('reads what formatBytes writes, to half of its last digit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_949_999_999_999 }), (bytes) => {
        const text = formatBytes(bytes)
        const halfDigit = (parseByteSize(`0.1 ${text.split(' ')[1]}`) ?? 0) / 2
        expect(Math.abs((parseByteSize(text) ?? Number.NaN) - bytes)).toBeLessThanOrEqual(halfDigit)
      }),
    )
  })
})
