import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { GROUPS } from '../../../server/broker/option-kinds.js'
import { flagOf, namesOf } from '../../../server/broker/option-names.js'
import { parseFlags } from '../../../server/cli/flags.js'
import { helpText } from '../../../server/cli/help.js'
import { VERSION } from '../../../shared/version.js'

async function answerTo(...argv: readonly string[]): Promise<string> {
  const stdout = new PassThrough()
  expect(await parseFlags(argv, { stdout, columns: 72, env: {} })).toBeUndefined()
  return String(stdout.read())
}

describe('--help', () => {
  test.each([40, 60, 80, 100, 200])('fits a terminal of %i columns', (columns) => {
    const wide = helpText(columns)
      .split('\n')
      .filter((line) => line.length > columns)
    // A command line is not broken, so that it can be copied.
    expect(wide.filter((line) => !/^ {2}(?:ess-server|--\S+) /.test(line))).toEqual([])
    if (columns >= 60) expect(wide).toEqual([])
  })

  test('has the examples first, then every option once, by purpose', () => {
    const text = helpText(80)
    expect(text.indexOf('ess-server --host 0.0.0.0')).toBeLessThan(text.indexOf('Listening:'))
    expect([...text.matchAll(/^(\S.*):$/gm)].map(([, group]) => group)).toEqual([...GROUPS])
    const shown = [...text.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, flag]) => flag)
    expect(shown.toSorted()).toEqual(namesOf('command', 'both').map(flagOf).toSorted())
  })

  test('and -h are the same, at the width of the terminal', async () => {
    expect(await answerTo('--help')).toBe(helpText(72))
    expect(await answerTo('-h')).toBe(helpText(72))
    // Beside what would be wrong by itself.
    expect(await answerTo('--ttl', 'soon', '-h')).toBe(helpText(72))
  })
})

test('--version and -v are the same', async () => {
  expect(await answerTo('--version')).toBe(`${VERSION}\n`)
  expect(await answerTo('-v')).toBe(`${VERSION}\n`)
})
