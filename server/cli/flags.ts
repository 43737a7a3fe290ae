import yargs, { type Options as YargsOptions } from 'yargs'
import { Parser } from 'yargs/helpers'
import { EssError, formatCount } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { nearestName } from '../broker/nearest-name.js'
import type { FlagRow, FlagValues } from '../broker/option-kinds.js'
import { flagOf, hasAll, kebab, type NameOf, namesOf, variableOf } from '../broker/option-names.js'
import { OPTIONS, type Options } from '../broker/option-table.js'
import type { LineWriter } from '../ops/outlet.js'
import { readFlag } from './flag-values.js'
import { helpText } from './help.js'

/** The outside world, as far as reading the flags needs it. */
export interface FlagsIo {
  readonly stdout: LineWriter
  /** The width of the terminal; undefined where stdout is none. */
  readonly columns?: number | undefined
  readonly env: Readonly<Record<string, string | undefined>>
}

type FlagName = NameOf<'command' | 'both'>

type FlagValue<Name extends FlagName> = FlagValues[Options[Name]['kind']] | Options[Name]['default']

/** The values from flags, variables and the file of `--config`. Each is of its kind, but may be out of bounds. */
export type Flags<Name extends FlagName = FlagName> = { readonly [One in Name]: FlagValue<One> }

const NAMES = namesOf('command', 'both')

/** The flag of each option, without its dashes, by the option's name. */
const FLAG_OF: ReadonlyMap<string, string> = new Map(NAMES.map((name) => [name, flagOf(name)]))

/** The row of each flag, by the flag's name without its dashes. */
const ROWS: ReadonlyMap<string, FlagRow> = new Map(NAMES.map((name) => [flagOf(name), OPTIONS[name]]))

/**
 * Reads the flags, then the environment, then the file; the first of them that sets an option wins. Undefined when a
 * question (`--help`, `--version`) has been answered instead. Throws EssError `usage`.
 */
export async function parseFlags(argv: readonly string[], io: FlagsIo): Promise<Flags | undefined> {
  const { help, version } = looseFlags(argv)
  if (help === true || version === true) {
    io.stdout.write(help === true ? helpText(io.columns ?? DEFAULT_COLUMNS) : `${VERSION}\n`)
    return undefined
  }
  const file = await fileFlags(argv, io.env)
  // Without a folder of its own yargs asks for the current one, which may have been removed.
  const parser = yargs([], '/')
    .options(Object.fromEntries([...ROWS].map(([flag, row]) => [flag, yargsOption(flag, row)])))
    // Of two such objects yargs takes the first that has the key, and neither where a flag has it.
    .config(environmentFlags(io.env))
    .config(file)
    .help(false)
    .version(false)
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      if (error instanceof EssError) throw error
      throw new EssError('usage', parseTrouble(message ?? error.message, argv))
    })
  return flagsIn(await parser.parseAsync(argv.map(plainSwitch)), NAMES)
}

/** The width of what is no terminal. */
const DEFAULT_COLUMNS = 80

/** The words of yargs for a wrong command line, in ours. */
function parseTrouble(message: string, argv: readonly string[]): string {
  const [, unknown] = /^Unknown arguments?: ([^,]+)/.exec(message) ?? []
  if (unknown !== undefined) return unknownFlag(unknown, argv)
  const [, valueless] = /^Not enough arguments following: (\S+)/.exec(message) ?? []
  if (valueless !== undefined) return `--${valueless} needs a value. ${SEE_HELP}`
  // A message of ours, from `coerce`, is whole sentences.
  const words = message.replace(/\s*\n\s*/g, ' ')
  return words.endsWith('.') ? words : `${words}. ${SEE_HELP}`
}

function unknownFlag(name: string, argv: readonly string[]): string {
  if (argv.includes(name)) return `ess-server takes only options, not ${JSON.stringify(name)}. ${SEE_HELP}`
  const meant = nearestName(name, [...ROWS.keys(), 'help', 'version'])
  const dashes = name.length === 1 ? '-' : '--'
  return `${dashes}${name} is not an option. ${meant === undefined ? SEE_HELP : `Did you mean --${meant}?`}`
}

const SEE_HELP = 'See ess-server --help.'

function flagsIn<Name extends FlagName>(
  given: Readonly<Record<string, unknown>>,
  names: readonly Name[],
): Flags<Name> {
  const flags: { -readonly [One in Name]?: FlagValue<One> } = {}
  for (const name of names) flags[name] = flagValue(name, given[flagOf(name)])
  if (hasAll<Flags<Name>>(flags, names)) return flags
  throw new Error('A flag has no value')
}

/** `given` is text, but for switches. */
function flagValue<Name extends FlagName>(name: Name, given: unknown): FlagValue<Name> {
  const row: FlagRow = OPTIONS[name]
  const kind: Options[Name]['kind'] = OPTIONS[name].kind
  if (given !== undefined) return readFlag(kind, String(given), flagOf(name))
  const fallback: Options[Name]['default'] = OPTIONS[name].default
  // It is of the row's kind, like the default.
  return (row.commandDefault as FlagValue<Name> | undefined) ?? fallback
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
  const { config = env['ESS_CONFIG'] ?? '' } = looseFlags(argv)
  // A second --config is refused later.
  if (typeof config !== 'string' || config === '') return {}
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
    alias: { help: ['h'], version: ['v'] },
  })
}

/** Every value is read as text, so that a message can quote it. */
function yargsOption(flag: string, { kind }: FlagRow): YargsOptions {
  const coerce = (value: unknown) => {
    if (Array.isArray(value))
      throw new EssError('usage', `--${flag} was given ${formatCount(value.length, 'time')}. Give it once.`)
    if (value === '') throw new EssError('usage', `--${flag} needs a value. ${SEE_HELP}`)
    return value
  }
  const isSwitch = kind === 'switch'
  return { type: isSwitch ? 'boolean' : 'string', requiresArg: !isSwitch, coerce }
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

/** `ESS_STALL_TIMEOUT=5` as if it were `--stall-timeout 5`. `strangeVariables` names the others. */
function environmentFlags(env: FlagsIo['env']): Record<string, string | boolean> {
  const entries = [...ROWS.keys()].flatMap((flag) => {
    const value = env[variableOf(flag)] ?? ''
    return value === '' ? [] : [[flag, isSwitch(flag) ? readFlag('switch', value, flag) : value] as const]
  })
  return Object.fromEntries(entries)
}

/** The variables of `ess`, which may be set on the same machine. */
const OF_CLIENT: readonly string[] = [
  ...['ESS_SERVER', 'ESS_TOKEN', 'ESS_TOKEN_FILE', 'ESS_ENCRYPT', 'ESS_PASSWORD_FILE'],
]

/** What Kubernetes gives each container beside a service named `ess`. */
const OF_KUBERNETES = /^ESS_(?:SERVICE_(?:HOST|PORT)|PORT_\d)/

/** A sentence for each variable that begins as ours do, and is none: it may be misspelled. */
export function strangeVariables(env: FlagsIo['env']): string[] {
  const known = [...ROWS.keys()].map(variableOf)
  const bare = (name: string) => name.replace('ESS_', '')
  return Object.keys(env)
    .filter((name) => name.startsWith('ESS_') && ![...known, ...OF_CLIENT].includes(name))
    .filter((name) => !OF_KUBERNETES.test(name))
    .map((name) => {
      const meant = nearestName(bare(name), known.map(bare))
      return `${name} is no option's variable, and is ignored. ${meant === undefined ? SEE_HELP : `Did you mean ESS_${meant}?`}`
    })
}

/** Library messages name options; on a command line "maxSockets" is --max-sockets. */
export function inFlagNames(message: string): string {
  return message.replace(
    /"([a-z]+(?:[A-Z][a-z]+)*)"(?= (?:must|is)\b)/g,
    (_all, name: string) => `--${FLAG_OF.get(name) ?? kebab(name)}`,
  )
}
