import { PassThrough, Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { run } from '../../../client/cli/cli.js'
import { COMMAND_NAMES, rowOf } from '../../../client/cli/commands.js'
import { commandHelp, overview } from '../../../client/cli/help.js'
import { helpWidth } from '../../../client/cli/layout.js'
import { FLAGS } from '../../../client/cli/options.js'
import { EXIT_STATUS } from '../../../shared/index.js'
import { ess } from '../../helpers/client-io.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

async function printed(...argv: readonly string[]): Promise<string> {
  const help = ess(argv)
  expect(await help.status).toBe(0)
  expect(help.stderr()).toBe('')
  return help.stdout()
}

test.each(['-v', '--version'])('ess %s prints the version', async (flag) => {
  expect(await printed(flag)).toMatch(/^\d+\.\d+\.\d+\n$/)
  expect(await printed('send', flag)).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test('a bare ess is wrong: its help is no output', async () => {
  const bare = ess([])
  expect(await bare.status).toBe(2)
  expect(bare.stdout()).toBe('')
  expect(bare.stderr()).toBe(await printed('--help'))
  expect(await printed('help')).toBe(bare.stderr())
})

test.each(COMMAND_NAMES)('ess help %s is its --help, by each of its names', async (name) => {
  const help = await printed('help', name)
  expect(help).toBe(commandHelp(name, helpWidth(undefined)))
  for (const word of [name, ...rowOf(name).aliases]) {
    expect(await printed(word, '--help')).toBe(help)
    expect(await printed('help', word)).toBe(help)
    expect(await printed('-h', word)).toBe(help)
  }
})

describe('the help', () => {
  test('of ess is one screen: 80 columns, and 24 rows with the next prompt', () => {
    const lines = overview(80).trimEnd().split('\n')
    expect(lines.length).toBeLessThanOrEqual(23)
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80)
  })

  test('of ess names every command and every flag', () => {
    const text = overview(80)
    for (const name of COMMAND_NAMES)
      for (const word of [name, ...rowOf(name).aliases]) expect(text).toMatch(new RegExp(`\\b${word}\\b`))
    for (const { flag } of FLAGS) expect(text).toMatch(new RegExp(`--${flag}\\b`))
  })

  test.each(COMMAND_NAMES)(
    'of ess %s has its examples first, then its options, then its statuses',
    (name) => {
      const text = commandHelp(name, 80)
      const own = FLAGS.filter(({ of }) => of.some((command) => command === name))
      const others = FLAGS.filter((flag) => !own.includes(flag))
      const examples = rowOf(name).examples.map(([line]) => `\n  ${line}`)
      const flags = own.map(({ flag, short }) =>
        short === undefined ? `\n  --${flag}` : `\n  -${short}, --${flag}`,
      )
      const landmarks = ['\nExamples:\n', examples, flags, '\n  -h, --help', '\nExit status:\n']
      let end = 0
      for (const words of landmarks) {
        const places = [words].flat().map((one) => text.indexOf(one))
        for (const place of places) expect(place, String(words)).toBeGreaterThan(end)
        end = Math.max(end, ...places)
      }
      for (const { flag } of others) expect(text).not.toMatch(new RegExp(`^ +(-\\w, )?--${flag}\\b`, 'm'))
    },
  )

  test('of the transfers tells every exit status that they have', () => {
    for (const name of ['send', 'get'] as const) {
      const statuses = [...commandHelp(name, 80).matchAll(/^ {2}(\d+) /gm)].map(([, status]) =>
        Number(status),
      )
      const others = { send: EXIT_STATUS.untrusted, get: EXIT_STATUS.unverified }[name]
      const all = Object.values(EXIT_STATUS).filter((status) => status !== others)
      expect(statuses).toEqual(all.sort((one, other) => one - other))
    }
  })

  test.each([
    ['a phone', 40, 39],
    ['the usual terminal', 80, 79],
    ['a wide one', 200, 100],
    ['a serial line, which says 0', 0, 80],
    ['one that is no terminal', undefined, 80],
  ])('fits %s', (_what, columns, width) => {
    expect(helpWidth(columns)).toBe(width)
    const texts = [overview(width), ...COMMAND_NAMES.map((name) => commandHelp(name, width))]
    for (const line of texts.join('').split('\n')) {
      // An example stays in one line, and so does a word that is longer than any line.
      const isWhole = /^ {2}(?:#|ess|tar|eval) /.test(line) || !line.trim().includes(' ')
      if (!isWhole) expect(line.length, line).toBeLessThanOrEqual(width)
      expect(line).not.toMatch(/\s$|\u00a0/)
    }
  })

  test('has the width of the terminal that it goes to', async () => {
    let text = ''
    const terminal = Object.assign(
      new Writable({
        write: (chunk, _encoding, callback) => {
          text += chunk
          callback()
        },
      }),
      { isTTY: true, columns: 40 },
    )
    const io = {
      stdin: new PassThrough(),
      stdout: terminal,
      stderr: new PassThrough(),
      env: {},
      cwd: '/',
      signal: new AbortController().signal,
    }
    expect(await within(DEADLINE_MS, 'ess --help ends', run(['--help'], io))).toBe(0)
    expect(text).toBe(overview(39))
  })
})
