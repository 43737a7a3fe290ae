import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatAgainstLimit,
  formatBytes,
  formatDuration,
  formatLimit,
  parseByteSize,
  parseDuration,
} from '../../shared/index.js'

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
  [0, '0 B'],
  [1000, '1.0 kB'],
  [1024, '1.0 KiB'],
  [1500, '1.5 kB'],
  [64_000, '64.0 kB'],
  [2 ** 20, '1.0 MiB'],
  [10e9, '10.0 GB'],
  [1.5e9, '1.5 GB'],
  [2 ** 30, '1.0 GiB'],
  [500 * 2 ** 30, '500.0 GiB'],
  [1.5 * 2 ** 30, '1.5 GiB'],
  [1e12, '1.0 TB'],
  [2 ** 50, '1.0 PiB'],
  [1023.96 * 2 ** 20, '1.1 GB'],
  [(2 ** 30 - 2 ** 10) * 2 ** 10, '1.0 TiB'],
])('a limit of %d bytes reads as %s', (bytes, text) => {
  expect(formatLimit(bytes)).toBe(text)
})

test.each([
  [2.1e9, 1.5e9, '2.1 GB', '1.5 GB'],
  [2 ** 31, 2 ** 30, '2.0 GiB', '1.0 GiB'],
  [2e9, 2 ** 30, '1.9 GiB', '1.0 GiB'],
  // One digit can't tell these two apart.
  [2 ** 30 + 1, 2 ** 30, '1073741825 bytes', '1073741824 bytes'],
  [1e9, 1e9, '1.0 GB', '1.0 GB'],
  [11, 10, '11 B', '10 B'],
])('%d bytes and a limit of %d read as %s and %s', (size, limit, sizeText, limitText) => {
  expect(formatAgainstLimit(size, limit)).toEqual([sizeText, limitText])
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

describe('a duration that a person typed', () => {
  test.each([
    ['0', 0],
    ['90', 90],
    ['0.5', 0.5],
    [' 90s ', 90],
    ['90 s', 90],
    ['10m', 600],
    ['10M', 600],
    ['10min', 600],
    ['1h', 3600],
    ['1.5h', 5400],
    ['1h30m', 5400],
    ['1h5s', 3605],
    ['1h 30m 5s', 5405],
    ['9 min 30 s', 570],
    ['100m', 6000],
  ])('%j is %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds)
  })

  test.each([
    '',
    ' ',
    'soon',
    'h',
    '-1',
    '+1',
    '1e3',
    '.5h',
    '1.h',
    '1,5h',
    '1h30',
    '30m1h',
    '1h1h',
    '1d',
    '1ms',
    '10m!',
    'Infinity',
    `${'9'.repeat(400)}`,
    `${'9'.repeat(400)}h`,
  ])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  test('is read from what formatDuration writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3599 }), (seconds) => {
        expect(parseDuration(formatDuration(seconds))).toBe(seconds)
      }),
    )
  })
})
