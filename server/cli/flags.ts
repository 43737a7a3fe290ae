import yargs, { type Options as YargsOptions } from 'yargs'
import { Parser } from 'yargs/helpers'
import { EssError } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import type { FlagRow, FlagValues } from '../broker/option-kinds.js'
import { choicesOf, flagOf, hasAll, kebab, type NameOf, namesOf, variableOf } from '../broker/option-names.js'
import { OPTIONS, type Options } from '../broker/option-table.js'
import type { LineWriter } from '../ops/outlet.js'
import { readFlag, shownDefault } from './flag-values.js'

/** The outside world, as far as reading the flags needs it. */
export interface FlagsIo {
  readonly stdout: LineWriter
  readonly env: Readonly<Record<string, string | undefined>>
}

type FlagName = NameOf<'command' | 'both'>

type FlagValue<Name extends FlagName> = FlagValues[Options[Name]['kind']] | Options[Name]['default']

/** The values from flags, variables and the file of `--config`. Each is of its kind, but may be out of bounds. */
export type Flags<Name extends FlagName = FlagName> = { readonly [One in Name]: FlagValue<One> }

const NAMES = namesOf('command', 'both')

/** The row of each flag, by the flag's name without its dashes. */
const ROWS: ReadonlyMap<string, FlagRow> = new Map(NAMES.map((name) => [flagOf(name), OPTIONS[name]]))

/**
 * Reads the flags, then the environment, then the file; the first of them that sets an option wins. Undefined when a
 * question (`--help`, `--version`) has been answered instead. Throws EssError `usage`.
 */
export async function parseFlags(argv: readonly string[], io: FlagsIo): Promise<Flags | undefined> {
  let answer = ''
  const file = await fileFlags(argv, io.env)
  // Without a folder of its own yargs asks for the current one, which may have been removed.
  const parser = yargs([], '/')
    .scriptName('ess-server')
    .usage('$0 [options]\n\nBrokers transfers between a sender and a receiver over HTTP. Nothing is stored.')
    .options(Object.fromEntries([...ROWS].map(([flag, row]) => [flag, yargsOption(flag, row)])))
    // Of two such objects yargs takes the first that has the key, and neither where a flag has it.
    .config(environmentFlags(io.env))
    .config(file)
    .epilogue(
      'Each option is an environment variable too: --max-upload-bytes is ESS_MAX_UPLOAD_BYTES.\nExit status: 0 stopped politely, or checked and well; 1 could not listen, or was stopped by force; 2 usage.',
    )
    .version(VERSION)
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      if (error instanceof EssError) throw error
      const line = (message ?? error.message).replace(/\s*\n\s*/g, ' ')
      throw new EssError('usage', `${line}; try: ess-server --help`)
    })
    .wrap(100)
  const given = await parser.parseAsync(argv.map(plainSwitch), {}, (_error, _flags, output) => {
    answer = output
  })
  if (answer !== '') {
    io.stdout.write(`${answer}\n`)
    return undefined
  }
  return flagsIn(given, NAMES)
}

function flagsIn<Name extends FlagName>(
  given: Readonly<Record<string, unknown>>,
  names: readonly Name[],
): Flags<Name> {
  const flags: { -readonly [One in Name]?: FlagValue<One> } = {}
  for (const name of names) flags[name] = flagValue(name, given[flagOf(name)])
  if (hasAll<Flags<Name>>(flags, names)) return flags
  throw new Error('A flag has no value')
}

/** `given` is text, but for switches; the default comes as it is shown. */
function flagValue<Name extends FlagName>(name: Name, given: unknown): FlagValue<Name> {
  const fallback: Options[Name]['default'] = OPTIONS[name].default
  const kind: Options[Name]['kind'] = OPTIONS[name].kind
  return given === undefined ? fallback : readFlag(kind, String(given), flagOf(name))
}

/** True if the command line asks for `--check`. It works even where the rest of the command line is wrong. */
export function asksForCheck(argv: readonly string[], env: FlagsIo['env']): boolean {
  const { check = /^(?:1|true)$/.test(env['ESS_CHECK'] ?? '') } = looseFlags(argv)
  return check === true
}

/** The file is read first, because it can set most of the other options. */
async function fileFlags(
  argv: readonly string[],
  env: FlagsIo['env'],
): Promise<Record<string, string | boolean>> {
  const { config = env['ESS_CONFIG'] ?? '', help, version } = looseFlags(argv)
  // A second --config is refused later.
  if (typeof config !== 'string' || config === '' || help === true || version === true) return {}
  // The YAML parser takes 30 ms to load, and most servers have no file.
  const { readConfigFile } = await import('./config-file.js')
  const kinds = [...ROWS]
    .filter(([, { isInFile = true }]) => isInFile)
    .map(([flag, { kind }]) => [flag, kind])
  return await readConfigFile(config, Object.fromEntries(kinds))
}

function looseFlags(argv: readonly string[]): Readonly<Record<string, unknown>> {
  const flags = [...ROWS.keys()]
  return Parser([...argv], {
    string: flags.filter((flag) => !isSwitch(flag)),
    boolean: ['help', 'version', ...flags.filter(isSwitch)],
  })
}

/** Every value is read as text, so that a message can quote it. */
function yargsOption(flag: string, row: FlagRow): YargsOptions {
  const { kind, words, otherwise } = row
  const coerce = (value: unknown) => {
    if (Array.isArray(value))
      throw new EssError('usage', `Expected --${flag} once, got it ${value.length} times`)
    if (value === '') throw new EssError('usage', `Expected --${flag} to have a value, got an empty one`)
    return value
  }
  const choices = choicesOf(kind)
  const fallback = shownDefault(row)
  const isSwitch = kind === 'switch'
  return {
    describe: fallback === undefined && otherwise !== undefined ? `${words} [default: ${otherwise}]` : words,
    type: isSwitch ? 'boolean' : 'string',
    requiresArg: !isSwitch,
    coerce,
    ...(fallback !== undefined && { default: fallback }),
    ...(choices !== undefined && { choices }),
  }
}

/** `--name=value` of a switch in the two words that yargs knows: it takes any other for false. */
function plainSwitch(argument: string): string {
  const [, name = '', value = ''] = /^--([^=]+)=(.*)$/s.exec(argument) ?? []
  const flag = kebab(name)
  return isSwitch(flag) ? `--${flag}=${readFlag('switch', value, flag)}` : argument
}

function isSwitch(flag: string): boolean {
  return ROWS.get(flag)?.kind === 'switch'
}

/** `ESS_STALL_TIMEOUT=5` as if it were `--stall-timeout 5`. Other variables that begin with ESS_ are ignored. */
function environmentFlags(env: FlagsIo['env']): Record<string, string | boolean> {
  const entries = [...ROWS.keys()].flatMap((flag) => {
    const value = env[variableOf(flag)] ?? ''
    return value === '' ? [] : [[flag, isSwitch(flag) ? readFlag('switch', value, flag) : value] as const]
  })
  return Object.fromEntries(entries)
}

/** Library messages name options; on a command line "maxSockets" is --max-sockets. */
export function inFlagNames(message: string): string {
  return message.replace(/"([a-z]+(?:[A-Z][a-z]+)*)" to /, (_all, name: string) => `--${kebab(name)} to `)
}
