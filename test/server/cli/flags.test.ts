import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { FlagRow } from '../../../server/broker/option-kinds.js'
import { flagOf, type NameOf, namesOf, variableOf } from '../../../server/broker/option-names.js'
import { OPTIONS } from '../../../server/broker/option-table.js'
import { resolveOptions } from '../../../server/broker/options.js'
import { type Flags, parseFlags } from '../../../server/cli/flags.js'
import { serviceOptions } from '../../../server/cli/settings.js'

type FlagName = NameOf<'command' | 'both'>

async function flagsOf(...argv: readonly string[]): Promise<Flags> {
  const flags = await parseFlags(argv, { stdout: new PassThrough(), env: {} })
  if (flags === undefined) throw new Error('Expected flags, got an answer')
  return flags
}

/** What the command does without the flag. */
function defaultOf(name: FlagName): unknown {
  const { commandDefault, default: ofBoth }: FlagRow = OPTIONS[name]
  return commandDefault ?? ofBoth
}

/** The options whose default is another one for the command than for the library. */
const OF_THE_COMMAND = { maxUploadBytes: 0, serveClient: true, web: true }

describe('without any flag', () => {
  test('each has the default of its row', async () => {
    const defaults = namesOf('command', 'both').map((name) => [name, defaultOf(name)])
    expect(await flagsOf()).toEqual(Object.fromEntries(defaults))
  })

  test('the service has the options that createService has without any, but for a few', async () => {
    const plain = (options: object) => JSON.stringify(options)
    expect(plain(resolveOptions(serviceOptions(await flagsOf())))).toBe(plain(resolveOptions(OF_THE_COMMAND)))
  })
})

test('no two options share a flag or a variable, and every flag can be typed', () => {
  const flags = namesOf('command', 'both').map(flagOf)
  expect(flags.filter((flag) => !/^[a-z]+(?:-[a-z]+)*$/.test(flag))).toEqual([])
  expect(new Set(flags).size).toBe(flags.length)
  expect(new Set(flags.map(variableOf)).size).toBe(flags.length)
})

/** A value of each kind that is no default, as a person types it and as a program has it. */
const OTHERS: Readonly<Record<string, readonly [typed: string, value: unknown]>> = {
  text: ['x', 'x'],
  url: ['http://x', 'http://x'],
  seconds: ['1.5', 1.5],
  whole: ['7', 7],
  workers: ['auto', 'auto'],
  size: ['2KiB', 2048],
  list: ['a, b', ['a', 'b']],
  relay: ['sockets', 'sockets'],
  'log format': ['json', 'json'],
  'TLS version': ['1.3', '1.3'],
}

describe('each flag', () => {
  // A file of --config has to be there.
  const names = namesOf('command', 'both').filter((name) => name !== 'config')

  test.each(names)('%s sets its option and no other', async (name) => {
    const { kind } = OPTIONS[name]
    const fallback = defaultOf(name)
    const [typed, value] = kind === 'switch' ? [String(!fallback), !fallback] : (OTHERS[kind] ?? [])
    const flags = await flagsOf(`--${flagOf(name)}=${typed}`)
    expect(flags).toEqual({ ...(await flagsOf()), [name]: value })
  })

  test.each(names)('%s has a variable that does the same', async (name) => {
    const { kind } = OPTIONS[name]
    const fallback = defaultOf(name)
    const [typed] = kind === 'switch' ? [String(!fallback)] : (OTHERS[kind] ?? [])
    const env = { [variableOf(flagOf(name))]: typed }
    const flags = await parseFlags([], { stdout: new PassThrough(), env })
    expect(flags).toEqual(await flagsOf(`--${flagOf(name)}=${typed}`))
  })
})
