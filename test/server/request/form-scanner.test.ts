import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FormScanner } from '../../../server/request/form-scanner.js'
import { EssError } from '../../../shared/index.js'

const BOUNDARY = '-B'

/** The parts that a form has when it comes in these pieces, or 'malformed'; each piece's memory is used again. */
function scanAll(pieces: readonly Buffer[]): { head: string; at: number; body: string }[] | 'malformed' {
  const parts: { head: string; at: number; body: string; isWhole: boolean }[] = []
  const scanner = new FormScanner(BOUNDARY, {
    part: (head, at) => parts.push({ head, at, body: '', isWhole: false }),
    body: (bytes) => {
      const part = parts.at(-1)
      if (part !== undefined) part.body += bytes.toString('latin1')
    },
    partEnd: () => {
      const part = parts.at(-1)
      if (part !== undefined) part.isWhole = true
    },
  })
  try {
    for (const piece of pieces) {
      const bytes = Buffer.from(piece)
      scanner.scan(bytes)
      bytes.fill('#')
    }
    scanner.end()
  } catch (error) {
    expect(error).toBeInstanceOf(EssError)
    return 'malformed'
  }
  expect(parts.every(({ isWhole }) => isWhole)).toBe(true)
  return parts.map(({ head, at, body }) => ({ head, at, body }))
}

/** The same, of all of it at once: by the lines that begin with the boundary, each of which has to be a delimiter. */
function parse(form: string): ReturnType<typeof scanAll> {
  const [, ...rest] = `\r\n${form}`.split(`\r\n--${BOUNDARY}`)
  const last = rest.pop()
  if (last === undefined || !/^--[ \t]*(?:\r?\n|$)/.test(last)) return 'malformed'
  // Each is looked for behind the one before, and a head ends with an empty line.
  const parts: { head: string; at: number; body: string }[] = []
  for (const text of rest) {
    const padding = /^[ \t]*(?=\r\n)/.exec(text)?.[0].length
    // The empty line may share the boundary's line end, and that of the next boundary.
    const end = padding === undefined ? -1 : `${text}\r\n`.indexOf('\r\n\r\n', padding)
    if (padding === undefined || end === -1) return 'malformed'
    parts.push({ head: text.slice(padding + 2, end), at: 0, body: text.slice(end + 4) })
  }
  return parts
}

/** The text in pieces that end at `cuts`. */
function cutAt(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...ends].map((from, index) => bytes.subarray(from, ends[index] ?? bytes.length))
}

/** What a file may hold that looks like a boundary. */
const nearly = fc
  .array(
    fc.constantFrom('\r', '\n', '-', 'B', 'x', '\r\n', '\r\n-', '\r\n--', '\r\n---', ' ', '\0', '\xff'),
    {
      maxLength: 30,
    },
  )
  .map((tokens) => tokens.join(''))
const cuts = fc.array(fc.nat(), { maxLength: 30 })

describe('a form, however it is cut,', () => {
  test('gives its parts byte for byte', () => {
    const parts = fc.array(
      fc.record({
        head: fc.constantFrom('', 'A: b', 'A: b\r\nC:\r\n d'),
        body: nearly.filter((text) => !`\r\n${text}`.includes(`\r\n--${BOUNDARY}`)),
      }),
      { minLength: 1, maxLength: 4 },
    )
    const preamble = fc.constantFrom('', '\r\n', 'hello\r\n', '--\r\n--\r\n')
    const padding = fc.constantFrom('', ' ', '\t ')
    const end = fc.constantFrom('', '\r\n', '\r\n\r\n', '\n', '\r\nand more', '\nand more', ' \r\n')
    fc.assert(
      fc.property(parts, preamble, padding, end, cuts, (expected, before, pad, behind, at) => {
        let form = before
        const wanted = expected.map(({ head, body }) => {
          form += `--${BOUNDARY}${pad}\r\n${head === '' ? '' : `${head}\r\n`}\r\n`
          const part = { head, at: form.length, body }
          form += `${body}\r\n`
          return part
        })
        form += `--${BOUNDARY}--${behind}`
        expect(scanAll(cutAt(form, at))).toEqual(wanted)
      }),
      { numRuns: 3000 },
    )
  })

  test('is malformed wherever it is, and never shorter than it is', () => {
    const tokens = fc.constantFrom(
      ...['\r', '\n', '-', 'B', 'x', ' ', '\r\n', '\r\n\r\n', `\r\n--${BOUNDARY}`, `\r\n--${BOUNDARY}--`],
      ...[`\r\n--${BOUNDARY}\r\n\r\n`, `\r\n--${BOUNDARY}\r\nA: b\r\n\r\n`],
    )
    const anything = fc
      .array(tokens, { maxLength: 12 })
      .map((list) => `--${BOUNDARY}\r\n\r\n${list.join('')}`)
    const forms = anything.map((text) => (text.length % 2 === 0 ? text : `${text}\r\n--${BOUNDARY}--`))
    let whole = 0
    fc.assert(
      fc.property(forms, cuts, (form, at) => {
        const parts = scanAll(cutAt(form, at))
        if (parts !== 'malformed') whole++
        expect(parts === 'malformed' ? parts : parts.map((part) => ({ ...part, at: 0 }))).toEqual(parse(form))
      }),
      { numRuns: 5000 },
    )
    // Enough of both.
    expect(whole).toBeGreaterThan(100)
    expect(whole).toBeLessThan(4900)
  })
})

test('a form in every two pieces is the same form', () => {
  const form = `--${BOUNDARY}\r\nA: b\r\n\r\n\r\n--\r\n\r\n--${BOUNDARY.slice(1)}\r\n--${BOUNDARY}--\r\n`
  const whole = scanAll([Buffer.from(form)])
  expect(whole).toMatchObject([{ head: 'A: b', body: `\r\n--\r\n\r\n--${BOUNDARY.slice(1)}` }])
  for (let at = 0; at <= form.length; at++) expect(scanAll(cutAt(form, [at]))).toEqual(whole)
})

test('a part may have no body at all, not even its line end', () => {
  const form = `--${BOUNDARY}\r\nA: b\r\n\r\n--${BOUNDARY}--`
  for (let at = 0; at <= form.length; at++) {
    expect(scanAll(cutAt(form, [at]))).toMatchObject([{ head: 'A: b', body: '' }])
  }
})

test('a head has 16 KiB at most, in one piece and in many', () => {
  const form = `--${BOUNDARY}\r\nA: ${'x'.repeat(17_000)}\r\n\r\nhello\r\n--${BOUNDARY}--`
  expect(scanAll([Buffer.from(form)])).toBe('malformed')
  expect(scanAll(cutAt(form, [100, 5000, 10_000, 16_500]))).toBe('malformed')
})

test('the line of the closing boundary ends with CRLF, LF or nothing, never with a bare CR', () => {
  const form = (end: string) => `--${BOUNDARY}\r\n\r\nhe\r\n--${BOUNDARY}--${end}`
  for (const end of ['\rmore', '\r', '\r\r\n', ' \rllo'])
    for (let at = 0; at <= form(end).length; at++)
      expect(scanAll(cutAt(form(end), [at])), end).toBe('malformed')
  for (const end of ['', '\r\n', '\n', '\r\n\rmore', '\n\rmore'])
    for (let at = 0; at <= form(end).length; at++)
      expect(scanAll(cutAt(form(end), [at])), end).toMatchObject([{ body: 'he' }])
})
