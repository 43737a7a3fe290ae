import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  formatContentDisposition,
  parseContentDisposition,
  percentDecode,
  safeContentType,
  safeFileName,
} from '../../shared/index.js'

/** Names as strangers give them: anything, with what is dangerous more often than chance would have it. */
const anyName = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.string({ unit: 'binary' }) },
      { weight: 4, arbitrary: fc.string({ unit: 'grapheme' }) },
      {
        weight: 4,
        arbitrary: fc.constantFrom('.', '-', ' ', '/', '\\', '"', "'", '%41', ';', '*', '\ud800'),
      },
      { weight: 2, arbitrary: fc.constantFrom('\n', '\r', '\0', '\u202e', '\u200b', '\ufeff', '\u2028') },
      {
        weight: 4,
        arbitrary: fc.constantFrom('\u200c', '\u200d', '\u180e', '\ufe0f', '\u{e0101}', '\u{e0067}'),
      },
      { weight: 2, arbitrary: fc.constantFrom('ی', 'क', '्', '👩', '🏽', '🏴', '\u{e007f}', 'a', 'Ж') },
      { weight: 1, arbitrary: fc.nat(300).map((length) => 'long '.repeat(length).slice(0, length)) },
      { weight: 1, arbitrary: fc.nat(100).map((length) => '😀é'.repeat(length)) },
    ),
  )
  .map((parts) => parts.join(''))

const safeName = anyName
  .map((name) => safeFileName(name))
  .filter((name): name is string => name !== undefined)

const utf8Length = (text: string) => Buffer.byteLength(text, 'utf8')

describe('a safe file name', () => {
  test('can be written to a disk, a header and a terminal, whatever it was made of', () => {
    fc.assert(
      fc.property(safeName, (name) => {
        expect(name).not.toMatch(/[/\\\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029\u200b\ufeff]/u)
        // No joiner that joins nothing, and nothing hidden in a row.
        expect(name).not.toMatch(
          /^[\u200c\u200d]|[\u200c\u200d]{2}|\p{Variation_Selector}{2}|[\w.-][\u200c\u200d]\w/u,
        )
        expect(name).not.toMatch(/^[.\-\s]|\s$/u)
        expect(name.isWellFormed()).toBe(true)
        expect(utf8Length(name)).toBeGreaterThan(0)
        expect(utf8Length(name)).toBeLessThanOrEqual(240)
      }),
      { numRuns: 1000 },
    )
  })

  test('stays as it is when it is made safe again', () => {
    fc.assert(
      fc.property(safeName, (name) => safeFileName(name) === name),
      { numRuns: 1000, examples: [[safeFileName(`${'a'.repeat(239)} b`) ?? '']] },
    )
  })

  test.each([
    ['plain.txt', 'plain.txt'],
    ['a b.txt', 'a b.txt'],
    ['/etc/passwd', 'passwd'],
    ['..\\..\\boot.ini', 'boot.ini'],
    ['../../.ssh/.bashrc', 'bashrc'],
    ['-rf', 'rf'],
    ['. -.-x', 'x'],
    ['x.', 'x.'],
    ['a\r\nb', 'ab'],
    ['invoice\u202egpj.exe', 'invoicegpj.exe'],
    // Half of what was joined does not stay: the cut is in the middle of a family, and of a flag.
    [`${'a'.repeat(232)}👨\u200d👩\u200d👧`, `${'a'.repeat(232)}👨`],
    [`${'a'.repeat(230)}🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}`, `${'a'.repeat(230)}🏴`],
    // What takes no room: a soft hyphen, a joiner, two fillers, a tag, an annotation.
    ['a\u00ad\u034f\u115f\u3164\u{e0041}\ufff9b.txt', 'ab.txt'],
    ['❤\ufe0f.txt', '❤\ufe0f.txt'],
    ['\ud800x', '\ufffdx'],
    ['Zürich 東京 🚀.pdf', 'Zürich 東京 🚀.pdf'],
    ['"quoted".txt', '"quoted".txt'],
    [`${'a'.repeat(240)}`, 'a'.repeat(240)],
    [`${'a'.repeat(241)}`, 'a'.repeat(240)],
    [`${'a'.repeat(300)}.tar.gz`, `${'a'.repeat(237)}.gz`],
    [`${'a'.repeat(300)}.${'b'.repeat(15)}`, `${'a'.repeat(224)}.${'b'.repeat(15)}`],
    [`${'a'.repeat(230)}.${'b'.repeat(16)}`, `${'a'.repeat(230)}.${'b'.repeat(9)}`],
    // Never half a character: 4 bytes each.
    ['😀'.repeat(61), '😀'.repeat(60)],
    [`a${'😀'.repeat(60)}`, `a${'😀'.repeat(59)}`],
    [`${'é'.repeat(200)}.txt`, `${'é'.repeat(118)}.txt`],
  ])('of %j is %j', (name, safe) => {
    expect(safeFileName(name)).toBe(safe)
  })

  test.each(['', ' ', '.', '..', '...', '---', 'folder/', '\\', '\0\n', '\u200b', '- . -'])(
    'of %j does not exist',
    (name) => {
      expect(safeFileName(name)).toBeUndefined()
    },
  )
})

/** A header as Node gives it to whoever reads it: a character a byte. */
const asReceived = (header: string) => Buffer.from(header, 'utf8').toString('latin1')

describe('the Content-Disposition of a download', () => {
  // Each of them looks like a piece of the header it stands in.
  const TRAPS = ["a; filename*=UTF-8''b", 'a; filename=b', 'a"; filename="b', 'a\\', '%41', "utf-8''x", "a'b"]

  test('gives every safe name back, through the latin1 of HTTP libraries', () => {
    fc.assert(
      fc.property(fc.oneof(safeName, fc.constantFrom(...TRAPS)), (name) => {
        const header = formatContentDisposition(name)
        expect(header).toMatch(/^[\x20-\x7e]+$/)
        expect(parseContentDisposition(asReceived(header))).toBe(name)
      }),
      { numRuns: 1000, examples: TRAPS.map((name) => [name]) },
    )
  })

  test.each([
    [undefined, 'attachment'],
    ['a b.txt', 'attachment; filename="a b.txt"'],
    ['é.txt', `attachment; filename="_.txt"; filename*=UTF-8''%C3%A9.txt`],
    ['😀', `attachment; filename="_"; filename*=UTF-8''%F0%9F%98%80`],
    ['"\\', String.raw`attachment; filename="\"\\"; filename*=UTF-8''%22%5C`],
    ['100%41', `attachment; filename="100%41"; filename*=UTF-8''100%2541`],
    ["é'()*", `attachment; filename="_'()*"; filename*=UTF-8''%C3%A9%27%28%29%2A`],
  ])('for %j is %s', (name, header) => {
    expect(formatContentDisposition(name)).toBe(header)
  })
})

describe("a sender's Content-Disposition", () => {
  test('may have the name as raw UTF-8', () => {
    fc.assert(
      fc.property(
        safeName.filter((name) => !/["\\]/.test(name)),
        (name) => {
          expect(parseContentDisposition(asReceived(`attachment; filename="${name}"`))).toBe(name)
        },
      ),
    )
  })

  test.each([
    ['attachment; filename=plain.txt', 'plain.txt'],
    ['ATTACHMENT ;FILENAME = "x"', 'x'],
    ['attachment; filename="a;b.txt"; size=3', 'a;b.txt'],
    [String.raw`attachment; filename="a\"b\\c"`, 'a"b\\c'],
    [`attachment; filename="fallback"; filename*=UTF-8''%E2%82%AC`, '€'],
    [`attachment; filename*=UTF-8''%E2%82%AC; filename="fallback"`, '€'],
    [`attachment; filename*=utf-8'en'a%20b`, 'a b'],
    // A broken or unknown encoding falls back.
    [`attachment; filename="fallback"; filename*=UTF-8''%E2%82`, 'fallback'],
    [`attachment; filename="fallback"; filename*=ISO-8859-1''%E9`, 'fallback'],
    // A byte that is not UTF-8 is the ISO-8859-1 it once had to be.
    ['attachment; filename="\xe9t\xe9"', 'été'],
    ['attachment; filename=""', ''],
    ['attachment', undefined],
    ['attachment; name="x"', undefined],
    ['attachment; xfilename="x"', undefined],
    ['', undefined],
  ])('%j names %j', (header, name) => {
    expect(parseContentDisposition(header)).toBe(name)
  })
})

describe('the Content-Type a receiver is given', () => {
  test.each([
    // As sent.
    ['text/plain', 'text/plain'],
    ['text/plain; charset=utf-8', 'text/plain; charset=utf-8'],
    [' image/png ', 'image/png'],
    ['application/vnd.api+json;v=1', 'application/vnd.api+json;v=1'],
    ['text/csv; header="a b"; charset=UTF-8', 'text/csv; header="a b"; charset=UTF-8'],
    ['application/json', 'application/json'],
    ['text/css', 'text/css'],
    ['application/wasm', 'application/wasm'],
    // What a browser could run is shown instead.
    ['text/html', 'text/plain'],
    ['TEXT/HTML', 'text/plain'],
    ['text/html; charset=iso-8859-1', 'text/plain; charset=iso-8859-1'],
    ['text/html;charset="UTF-8"', 'text/plain; charset=UTF-8'],
    ['text/html; boundary=x; Charset=utf-8; y=z', 'text/plain; charset=utf-8'],
    ['application/xhtml+xml', 'text/plain'],
    ['image/svg+xml', 'text/plain'],
    ['application/xml', 'text/plain'],
    ['text/xml; charset=utf-8', 'text/plain; charset=utf-8'],
    ['application/rss+xml', 'text/plain'],
    ['text/xsl', 'text/plain'],
    ['application/xml-dtd', 'text/plain'],
    ['text/javascript', 'text/plain'],
    ['application/javascript', 'text/plain'],
    ['application/x-javascript', 'text/plain'],
    ['text/ecmascript', 'text/plain'],
    // Still one of JavaScript's own (WHATWG MIME Sniffing, 4.6).
    ['text/javascript1.5', 'text/plain'],
    ['text/javascript1.0; charset=utf-8', 'text/plain; charset=utf-8'],
    ['multipart/x-mixed-replace; boundary=x', 'application/octet-stream'],
    ['multipart/related', 'application/octet-stream'],
    ['message/rfc822', 'application/octet-stream'],
    // Absent or malformed.
    [undefined, 'application/octet-stream'],
    ['', 'application/octet-stream'],
    ['html', 'application/octet-stream'],
    ['text/', 'application/octet-stream'],
    ['/html', 'application/octet-stream'],
    ['text/html/x', 'application/octet-stream'],
    ['text /html', 'application/octet-stream'],
    ['text/html, image/png', 'application/octet-stream'],
    ['text/plain; charset', 'application/octet-stream'],
    ['text/plain; charset="utf-8', 'application/octet-stream'],
    ['text/plain\r\nX: y', 'application/octet-stream'],
    ['text/plain; a=é', 'application/octet-stream'],
  ])('for %j is %j', (sent, given) => {
    expect(safeContentType(sent)).toBe(given)
  })

  test('never lets markup or a script through, whatever the case, the tree and the parameters', () => {
    const type = fc.constantFrom('text', 'application', 'image', 'model', 'x')
    const subtype = fc.constantFrom(
      'html',
      'xml',
      'xhtml+xml',
      'svg+xml',
      'new+xml',
      'javascript',
      'ecmascript',
    )
    const parameters = fc.constantFrom('', ';', '; charset=utf-8', ';a=b ; c="d"', ' ; profile="x/html"')
    const sent = fc
      .tuple(type, subtype, parameters, fc.boolean())
      .map(([t, s, p, isUpper]) => (isUpper ? `${t}/${s}${p}`.toUpperCase() : `${t}/${s}${p}`))
    fc.assert(
      fc.property(sent, (value) => {
        expect(safeContentType(value)).toMatch(
          /^(?:text\/plain(?:; charset=[\w-]+)?|application\/octet-stream)$/,
        )
      }),
    )
  })
})

test.each([
  ['a%20b', 'a b'],
  ['%C3%A9', 'é'],
  ['+', '+'],
  ['%', undefined],
  ['%zz', undefined],
  ['%C3', undefined],
  ['%ED%A0%80', undefined],
])('%j is percent-decoded to %j', (text, decoded) => {
  expect(percentDecode(text)).toBe(decoded)
})
