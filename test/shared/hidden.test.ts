import { describe, expect, test } from 'vitest'
import {
  formatContentDisposition,
  parseContentDisposition,
  printable,
  safeFileName,
} from '../../shared/index.js'

const ZWNJ = '\u200c'
const ZWJ = '\u200d'
/** Of England. */
const FLAG = '\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}'

describe('a character that takes no room stays where it is part of how a name is written', () => {
  test.each([
    ['Persian', `می${ZWNJ}خواهم.txt`],
    ['Persian, behind a Latin word', `PDF${ZWNJ}های من.txt`],
    ['Persian, behind digits', `۵${ZWNJ}شنبه.txt`],
    ['Persian, behind a vowel mark', `خانهٔ${ZWNJ}من.txt`],
    ['an Arabic letter that is to look joined', `۱۴۰۰ ه${ZWJ}.ش.txt`],
    ['Hindi', `क्${ZWJ}ष.txt`],
    ['Hindi, unjoined', `क्${ZWNJ}ष.txt`],
    ['Sinhala', `ශ්${ZWJ}රී ලංකා.txt`],
    ['Malayalam', `അവന്${ZWJ}.txt`],
    ['Bengali', `র${ZWJ}্যাব.txt`],
    ['Khmer', `ស្រី${ZWNJ}ៗ.txt`],
    ['Mongolian', 'ᠮᠣᠩᠭᠣᠯ\u180eᠠ.txt'],
    ['a family', `👨${ZWJ}👩${ZWJ}👧.png`],
    ['skin tones', `👩🏽${ZWJ}🚀.png`],
    ['selected pictures', `👩${ZWJ}❤\ufe0f${ZWJ}💋${ZWJ}👨.png`],
    ['the rainbow flag', `🏳\ufe0f${ZWJ}🌈.png`],
    ['the flag of England', `${FLAG}.png`],
    ['a keycap', '1\ufe0f\u20e3.png'],
    ['a heart', '❤\ufe0f.png'],
    ['a Japanese name', '葛\u{e0100}城.txt'],
  ])('%s', (_what, name) => {
    expect(safeFileName(name)).toBe(name)
    expect(safeFileName(`folder/${name}`)).toBe(name)
    expect(parseContentDisposition(formatContentDisposition(name))).toBe(name)
    expect(printable(name)).toBe(name)
  })
})

describe('and goes from a name where it only makes two names look like one', () => {
  test.each([
    ['between Latin letters', `invoice.e${ZWJ}xe`, 'invoice.exe', 'invoice.e\\u{200d}xe'],
    ['between Cyrillic letters', `сч${ZWNJ}ет`, 'счет', 'сч\\u{200c}ет'],
    ['between Chinese letters', `中${ZWJ}文`, '中文', '中\\u{200d}文'],
    ['between Hebrew letters', `של${ZWNJ}ום`, 'שלום', 'של\\u{200c}ום'],
    ['between digits', `1${ZWNJ}2`, '12', '1\\u{200c}2'],
    ['at the beginning', `${ZWNJ}می`, 'می', '\\u{200c}می'],
    ['before the extension', `می${ZWNJ}.txt`, 'می.txt', 'می\\u{200c}.txt'],
    ['more than once', `می${ZWNJ}${ZWNJ}خ`, 'میخ', 'می\\u{200c}\\u{200c}خ'],
    ['behind one picture', `👨${ZWJ}.png`, '👨.png', '👨\\u{200d}.png'],
    ['between a picture and a letter', `👨${ZWJ}a`, '👨a', '👨\\u{200d}a'],
    ['a joiner in a dot file', `${ZWJ}.bashrc`, 'bashrc', '\\u{200d}.bashrc'],
    [
      'tags behind another picture',
      '👨\u{e0067}\u{e0062}\u{e007f}',
      '👨',
      '👨\\u{e0067}\\u{e0062}\\u{e007f}',
    ],
    ['tags behind a letter', 'a\u{e0041}b', 'ab', 'a\\u{e0041}b'],
    ['a flag without its end', '🏴\u{e0067}\u{e0062}', '🏴', '🏴\\u{e0067}\\u{e0062}'],
    [
      'a message in tags',
      `🏴${'\u{e0061}'.repeat(7)}\u{e007f}`,
      '🏴',
      `🏴${'\\u{e0061}'.repeat(7)}\\u{e007f}`,
    ],
    ['a selector behind a letter', 'a\ufe0fb', 'ab', 'a\\u{fe0f}b'],
    [
      'a message in selectors',
      '😀\u{e0101}\u{e0102}\u{e0103}',
      '😀\u{e0101}',
      '😀\u{e0101}\\u{e0102}\\u{e0103}',
    ],
    ['a selector before a dot', '\ufe0f.bashrc', 'bashrc', '\\u{fe0f}.bashrc'],
    ['a bidi control in Persian', `می\u202eخ`, 'میخ', 'می\\u{202e}خ'],
    ['a mark for the direction', 'می\u200f.txt', 'می.txt', 'می\\u{200f}.txt'],
    ['a line separator', 'क\u2028ष', 'कष', 'क\\u{2028}ष'],
  ])('%s', (_what, name, safe, shown) => {
    expect(safeFileName(name)).toBe(safe)
    expect(printable(name)).toBe(shown)
  })
})

test.each([
  ['plain words, “quoted”\nin two lines', 'plain words, “quoted”\nin two lines'],
  ['\u001b[31mred\r', '\\u{1b}[31mred\\u{d}'],
  ['\u009b31m', '\\u{9b}31m'],
  ['gpj\u202eexe\u200b', 'gpj\\u{202e}exe\\u{200b}'],
])('words such as %j are %j to a terminal', (text, shown) => {
  expect(printable(text)).toBe(shown)
})
