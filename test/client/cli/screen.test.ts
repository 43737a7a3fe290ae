import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { progressWords, summary } from '../../../client/cli/screen.js'
import { openScreen } from '../../../client/cli/terminal.js'
import { nearestFile } from '../../../client/http/nearest-name.js'

describe('the words beside the bar', () => {
  const HALF = { bytes: 1_050_000_000, rate: 42_000_000 }

  test.each([
    [200, ' 50%  1.1 GB of 2.1 GB  42.0 MB/s  25 s left'],
    [44, ' 50%  1.1 GB of 2.1 GB  42.0 MB/s  25 s left'],
    [43, ' 50%  1.1 GB of 2.1 GB  25 s left'],
    [33, ' 50%  1.1 GB of 2.1 GB  25 s left'],
    [32, ' 50%  25 s left'],
    [10, ' 50%'],
  ])('fit into %d columns, and keep the time left for long', (columns, words) => {
    expect(progressWords(HALF, 2_100_000_000, columns)).toBe(words)
  })

  test('say how much has come where the whole is not known', () => {
    expect(progressWords(HALF, undefined, 80)).toBe('1.1 GB  42.0 MB/s')
  })

  test('of an empty file are those of a whole one', () => {
    expect(progressWords({ bytes: 0, rate: undefined }, 0, 80)).toBe('100%  0 B of 0 B')
  })
})

describe('the summary', () => {
  test.each([
    [999, 'f, 2.4 MB.'],
    [1_000, 'f, 2.4 MB in 1.0 s (2.4 MB/s).'],
    [3_100, 'f, 2.4 MB in 3.1 s (774.2 kB/s).'],
    [60_000, 'f, 2.4 MB in 1 min (40.0 kB/s).'],
  ])('tells time and speed from a second on: %d ms', (ms, words) => {
    expect(summary('f', { bytes: 2_400_000, ms })).toBe(words)
  })
})

test.each([
  [40, ['To receive it on this machine, open', 'the link, or type either of these:']],
  [80, ['To receive it on this machine, open the link, or type either of these:']],
])('hints are folded between words at %d columns, and commands are not', async (columns, title) => {
  const stderr = Object.assign(new PassThrough(), { columns })
  let text = ''
  stderr.on('data', (chunk) => {
    text += chunk
  })
  const command = 'ess get https://send.example.org/AbCdEfGhIjKl'
  const screen = await openScreen({ stderr, env: { NO_COLOR: '1' } }, 'drawn')
  screen.waiting({ title: title.join(' '), lines: [command], advice: 'The link works once.' }, 600)
  screen.clear()
  expect(text.split('\n').slice(0, -1)).toEqual([
    '',
    ...title.map((line) => `  ${line}`),
    '',
    `    ${command}`,
    '',
    '  The link works once.',
    '',
  ])
})

/** The contrast of two colours (WCAG 2.2), from 1 to 21. */
function contrast(one: readonly number[], other: readonly number[]): number {
  const [dark = 0, light = 0] = [one, other].map(luminance).sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}

function luminance(colour: readonly number[]): number {
  const [red = 0, green = 0, blue = 0] = colour.map((value) => {
    const part = value / 255
    return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/** xterm's, by SGR number. */
const XTERM: Readonly<Record<string, readonly number[]>> = {
  31: [205, 0, 0],
  32: [0, 205, 0],
  33: [205, 205, 0],
  34: [0, 0, 238],
  35: [205, 0, 205],
  36: [0, 205, 205],
}

test('every colour can be seen on a white and on a black terminal (WCAG 2.2, 1.4.11)', async () => {
  const stderr = Object.assign(new PassThrough(), { columns: 80 })
  let text = ''
  stderr.on('data', (chunk) => {
    text += chunk
  })
  const screen = await openScreen({ stderr, env: {} }, 'drawn')
  screen.connecting('http://s')
  screen.waiting({ title: 'title', lines: ['line'], advice: 'advice' }, 9)
  screen.moving(10)
  screen.moved(5)
  screen.succeeded('Delivered f.')
  screen.failed('It failed. [stalled]')
  const used = new Set([...text.matchAll(/\[(3[0-7]|9[0-7])m/g)].map(([, colour = '']) => colour))
  expect([...used].sort()).toEqual(['31', '35'])
  for (const colour of used)
    for (const background of [
      [0, 0, 0],
      [255, 255, 255],
    ])
      expect(contrast(XTERM[colour] ?? background, background), colour).toBeGreaterThan(3)
})

describe('the file that was probably meant', () => {
  const FILES = ['Report.pdf', 'photos', 'movie.mkv', 'a', 'notes.txt', 'notes.md']

  test.each([
    ['report.pdf', 'Report.pdf'],
    ['Reprot.pdf', 'Report.pdf'],
    ['movie', 'movie.mkv'],
    ['notes', undefined],
    ['b', undefined],
    ['budget.ods', undefined],
  ])('%s: %s', (name, near) => {
    expect(nearestFile(name, FILES)).toBe(near)
  })
})
