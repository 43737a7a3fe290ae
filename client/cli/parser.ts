import { type ParseArgsConfig, parseArgs } from 'node:util'
import { EssError } from '../../shared/index.js'
import { type CommandName, commandNamed } from './commands.js'
import { meant } from './meant.js'
import { FLAGS, type Flag, flagOf, type OptionName } from './options.js'

/** What was typed after a flag. False for `--no-…`; all values of a flag that may be given several times. */
type Value = string | boolean | readonly string[]

/** A command line, cut into its parts. Every value is still text; `arguments.ts` checks it. */
export interface Words {
  /** The first operand, which should be a command. */
  readonly command: string | undefined
  readonly operands: readonly string[]
  readonly options: Readonly<Partial<Record<OptionName, Value>>>
  readonly isHelp: boolean
  readonly isVersion: boolean
}

/** Flags that every command has, and `ess` alone. */
export const OWN_FLAGS = [
  { flag: 'help', short: 'h', words: 'Print this help' },
  { flag: 'version', short: 'v', words: 'Print the version' },
] as const

type KnownFlag = Pick<Flag, 'flag' | 'short' | 'value'>
const KNOWN: readonly KnownFlag[] = [...FLAGS, ...OWN_FLAGS]

const GRAMMAR: NonNullable<ParseArgsConfig['options']> = Object.fromEntries(
  KNOWN.map(({ flag, short, value }) => {
    const type = value === undefined ? ('boolean' as const) : ('string' as const)
    return [flag, { type, ...(short !== undefined && { short }) }]
  }),
)

/**
 * Cuts a command line into its parts. Options may stand anywhere; after `--` everything is an operand. Throws EssError
 * `usage` for a flag that `ess` doesn't have, that lacks its value, or that is given twice.
 */
export function cut(argv: readonly string[]): Words {
  const { tokens } = parseArgs({
    args: [...argv],
    options: GRAMMAR,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const [typed] = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []))
  const known = flagsOf(typed === undefined ? undefined : commandNamed(typed))
  const operands: string[] = []
  const given = new Map<string, (string | true)[]>()
  let isLiteral = false
  for (const token of tokens) {
    if (token.kind === 'option-terminator') isLiteral = true
    if (token.kind === 'positional') operands.push(isLiteral ? token.value : withoutDash(token.value))
    if (token.kind !== 'option') continue
    const { name } = token
    given.set(name, [...(given.get(name) ?? []), read(token, argv[token.index] ?? '', known)])
  }
  const [command, ...rest] = operands
  return {
    command,
    operands: rest,
    options: optionsOf(given),
    isHelp: given.has('help'),
    isVersion: given.has('version'),
  }
}

/** With two values of a flag that has one, ignoring either could write over the wrong file. */
function optionsOf(given: ReadonlyMap<string, readonly (string | true)[]>): Words['options'] {
  const options: Partial<Record<OptionName, Value>> = {}
  for (const { name, flag, isMany, isOff } of FLAGS) {
    const [value, ...others] = given.get(flag) ?? []
    if (value === undefined) continue
    if (others.length > 0 && !isMany)
      throw new EssError('usage', `--${flag} was given more than once. Give it once.`)
    if (options[name] !== undefined)
      throw new EssError('usage', `--${flagOf(name)} and --${flag} contradict each other. Give one of them.`)
    options[name] = isMany ? [value, ...others].map(String) : isOff ? false : value
  }
  return options
}

/** The flags to think of where one is misspelt: those of the command, if it is known. */
interface Known {
  readonly command: CommandName | undefined
  readonly flags: readonly KnownFlag[]
}

function flagsOf(command: CommandName | undefined): Known {
  const own = FLAGS.filter(({ of }) => command === undefined || of.some((one) => one === command))
  return { command, flags: [...own, ...OWN_FLAGS] }
}

/** The command that was typed. Throws EssError `usage` for an option of another command. */
export function checkOptionsOf(command: CommandName, { options }: Words): void {
  for (const { name, of, flag, isOff } of FLAGS) {
    const isGiven = isOff ? options[name] === false : (options[name] ?? false) !== false
    if (!isGiven || of.some((one) => one === command)) continue
    throw new EssError(
      'usage',
      `--${flag} is an option of ess ${of[0]}, not of ess ${command}. Run ess ${command} --help for its options.`,
    )
  }
}

type OptionToken = {
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function read(
  { name, rawName, value, inlineValue }: OptionToken,
  argument: string,
  ofCommand: Known,
): string | true {
  // `-force` would be read as -f -o rce.
  const [, long] = /^-([a-z][a-z-]+)$/.exec(argument) ?? []
  const known = KNOWN.find(({ flag }) => flag === name)
  if (known === undefined || KNOWN.some(({ flag }) => flag === long))
    throw unknownFlag(long ?? name, argument, ofCommand)
  if (known.value === undefined) {
    if (value === undefined) return true
    throw new EssError('usage', `${rawName} takes no value. Write ${rawName} alone.`)
  }
  if (value === undefined)
    throw new EssError('usage', `${rawName} needs a value. Write ${rawName} ${known.value}.`)
  const isFlag = KNOWN.some(({ flag, short }) => value === `--${flag}` || value === `-${short}`)
  if (isFlag && inlineValue !== true)
    throw new EssError(
      'usage',
      `${rawName} needs a value, and ${value} is another option. Write ${rawName} ${known.value}.`,
    )
  // parseArgs takes the = of -o=FILE for a part of the name.
  return inlineValue === true && rawName === `-${known.short}` ? value.replace(/^=/, '') : value
}

function unknownFlag(name: string, argument: string, { command, flags }: Known): EssError {
  const near = meant(
    name.toLowerCase(),
    flags.map(({ flag }) => flag),
  )
  const [typed] = argument.split('=')
  const next =
    near === undefined
      ? `Run ${command === undefined ? 'ess' : `ess ${command}`} --help for all options.`
      : `Did you mean --${near}?`
  return new EssError('usage', `There is no option ${typed}. ${next}`)
}

/** Throws EssError `usage` for `—ttl`: a word processor makes that of two dashes, and it would be taken for a file. */
function withoutDash(operand: string): string {
  const [, name] = /^[\u2010-\u2015\u2212]+([a-z][a-z-]*)$/.exec(operand) ?? []
  const flag = KNOWN.find((one) => name !== undefined && [one.flag, one.short].includes(name))
  if (flag === undefined) return operand
  throw new EssError(
    'usage',
    `${operand} begins with a dash from a word processor. Type it again: --${flag.flag}.`,
  )
}
