import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChunkScanner } from '../../../../server/relay/gears/chunk-scanner.js'
import { EssError } from '../../../../shared/index.js'

/** What came out of a body that was scanned in pieces; each piece's memory is used again, as a reader's is. */
function scanAll(pieces: readonly Uint8Array[]): { passed: string; payload: number; isDone: boolean } {
  const scanner = new ChunkScanner()
  let passed = ''
  let payload = 0
  for (const piece of pieces) {
    const bytes = Buffer.from(piece)
    const scanned = scanner.scan(bytes)
    for (const part of scanned.pass) passed += part.toString('latin1')
    payload += scanned.payload
    bytes.fill('#')
  }
  return { passed, payload, isDone: scanner.isDone }
}

const scanText = (...texts: string[]) => scanAll(texts.map((text) => Buffer.from(text, 'latin1')))

/** The text in pieces that end at `cuts`. */
function cutAt(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...ends].map((from, index) => bytes.subarray(from, ends[index] ?? bytes.length))
}

test('a chunk has its size with its first byte, and not before', () => {
  const scanner = new ChunkScanner()
  const pass = (text: string) => Buffer.concat(scanner.scan(Buffer.from(text)).pass).toString()
  expect(['5\r\n', '', 'he', 'llo\r\n2', '\r', '\n', '!!\r\n0\r\n', '\r\n'].map(pass)).toEqual([
    ...['', '', '5\r\nhe', 'llo\r\n', '', '', '2\r\n!!\r\n', ''],
  ])
})

describe('a whole body', () => {
  const chunks = fc.array(
    fc.record({
      // Whatever may stand in a file, line ends and digits above all.
      data: fc.string({
        unit: fc.constantFrom('\r', '\n', '0', 'a', ';', '\0', '\xff'),
        minLength: 1,
        maxLength: 40,
      }),
      extension: fc.constantFrom(
        '',
        ';a',
        ';name=value',
        '; quoted="x\\"y"',
        ' ;\ta\t= b',
        `;${'x'.repeat(2000)}`,
      ),
      zeros: fc.constantFrom('', '000', '0'.repeat(20)),
    }),
    { maxLength: 6 },
  )
  const trailer = fc.constantFrom('', 'Digest: abc\r\n', 'A:\r\nB: c d\r\n')
  const last = fc.constantFrom('0', '000', '0;last')

  test('goes through without its extensions, its last chunk and its trailer, however it is cut', () => {
    fc.assert(
      fc.property(
        chunks,
        last,
        trailer,
        fc.array(fc.nat(), { maxLength: 20 }),
        (parts, end, fields, cuts) => {
          const framed = parts
            .map(
              ({ data, extension, zeros }) =>
                `${zeros}${data.length.toString(16)}${extension}\r\n${data}\r\n`,
            )
            .join('')
          const passed = parts.map(({ data }) => `${data.length.toString(16)}\r\n${data}\r\n`).join('')
          const payload = parts.reduce((sum, { data }) => sum + data.length, 0)
          const scanned = scanAll(cutAt(`${framed}${end}\r\n${fields}\r\n`, cuts))
          expect(scanned).toEqual({ passed, payload, isDone: true })
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('leaves alone what comes after it', () => {
    const rest = 'GET / HTTP/1.1\r\n\r\n'
    expect(scanText(`1\r\na\r\n0\r\n\r\n${rest}`, rest)).toEqual({
      passed: '1\r\na\r\n',
      payload: 1,
      isDone: true,
    })
  })

  test.each(['1', 'a', 'A', '00fF'])('may have a chunk of %s bytes', (digits) => {
    const data = 'x'.repeat(Number.parseInt(digits, 16))
    expect(scanText(`${digits}\r\n${data}\r\n0\r\n\r\n`)).toMatchObject({
      payload: data.length,
      isDone: true,
    })
  })
})

test('a chunk may be larger than 4 GiB', () => {
  const { payload, isDone } = scanText('1fffffffffffff\r\n', 'x'.repeat(100))
  expect([payload, isDone]).toEqual([100, false])
})

test.each([
  '',
  '5',
  '5\r',
  '5\r\n',
  '5\r\nhell',
  '5\r\nhello',
  '5\r\nhello\r\n',
  '0',
  '0\r\n',
  '0\r\nA: b\r\n',
  '0\r\n\r',
])('a body that ends with %j is not whole', (text) => {
  expect(scanText(text).isDone).toBe(false)
})

test('a size whose end has not come is held back: it may be the last one', () => {
  expect(scanText('1\r\na\r\n', '0').passed).toBe('1\r\na\r\n')
  expect(scanText('1\r\na\r\n', '0', '2\r\nbc').passed).toBe('1\r\na\r\n2\r\nbc')
})

describe('framing that leaves room for doubt is refused:', () => {
  test.each([
    ['no size', '\r\n'],
    ['no digits', 'hello\r\n'],
    ['a sign', '-1\r\n'],
    ['a prefix', '0x5\r\n'],
    ['a space before the size', ' 5\r\nhello\r\n'],
    ['a space after the size', '5 \r\nhello\r\n'],
    ['a bare LF after the size', '5\nhello\r\n'],
    ['a bare CR in the line', '5;a\rb\r\nhello\r\n'],
    ['a NUL in the extension', '5;\0\r\nhello\r\n'],
    ['more digits than a number holds', '20000000000000\r\n'],
    ['a number that is not exact', '3fffffffffffff\r\n'],
    ['a line without end', 'f'.repeat(20_000)],
    ['an extension without end', `5;${'x'.repeat(20_000)}`],
    ['more data than the size says', '5\r\nhello!\r\n'],
    ['a bare LF after the data', '5\r\nhello\n'],
    ['a bare CR after the data', '5\r\nhello\rX'],
    ['a trailer that is no field', '0\r\nno field\r\n\r\n'],
    ['a trailer with a folded line', '0\r\nA: b\r\n c\r\n\r\n'],
    ['a trailer with a bare LF', '0\r\nA: b\n\r\n'],
    ['a trailer without end', `0\r\nA: ${'x'.repeat(20_000)}`],
    ['a trailer of too many fields', `0\r\n${'A: b\r\n'.repeat(4000)}`],
    ['an extension without a name', '5;\r\nhello\r\n'],
    ['an extension whose name is no token', '5;\xff\r\nhello\r\n'],
    ['an extension whose value is no token', '5;a=\xff\r\nhello\r\n'],
    ['an extension whose quotes are open', '5;a="b\r\nhello\r\n'],
    ['a space behind the extensions', '5;a \r\nhello\r\n'],
    ['a trailer with a length', '0\r\nContent-Length: 5\r\n\r\n'],
    ['a trailer with a transfer coding', '0\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['too many extensions', `1;${'x'.repeat(200)}\r\na\r\n`.repeat(100)],
  ])('%s', (_what, text) => {
    expect(() => scanText(text)).toThrow(EssError)
    // Also in the smallest pieces.
    expect(() => scanText(...text)).toThrow(
      /^The upload is not valid HTTP\/1\.1: it has .*\. Check the program/,
    )
  })
})
