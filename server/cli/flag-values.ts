import { EssError, parseByteSize, parseDuration } from '../../shared/index.js'
import { CHOICES, type FlagRow, type FlagValues } from '../broker/option-kinds.js'

type FlagKind = keyof FlagValues

/** Reads what a person typed after `--flag`, or wrote into its variable. Throws EssError `usage`. */
type Reader<Kind extends FlagKind> = (text: string, flag: string) => FlagValues[Kind]

const READERS: { readonly [Kind in FlagKind]: Reader<Kind> } = {
  text: (text) => text,
  url: (text) => text,
  switch: (text, flag) => {
    if (text === 'true' || text === '1') return true
    if (text === 'false' || text === '0') return false
    throw unexpected(flag, 'true or false', text)
  },
  seconds: (text, flag) => {
    const seconds = parseDuration(text)
    if (seconds === undefined) throw unexpected(flag, 'a duration such as 90, 90s, 10m or 1h30m', text)
    return seconds
  },
  whole: (text, flag) => {
    if (!/^\d+$/.test(text)) throw unexpected(flag, 'a whole number', text)
    return Number(text)
  },
  workers: (text, flag) => {
    if (text === 'auto') return 'auto'
    if (!/^\d+$/.test(text)) throw unexpected(flag, 'a whole number or auto', text)
    return Number(text)
  },
  size: (text, flag) => {
    const bytes = parseByteSize(text)
    if (bytes === undefined) throw unexpected(flag, 'a size such as 1073741824 or 10GiB', text)
    return bytes
  },
  list: (text) => text.split(',').map((item) => item.trim()),
  relay: choiceOf(CHOICES.relay),
  'log format': choiceOf(CHOICES['log format']),
  'TLS version': choiceOf(CHOICES['TLS version']),
}

/** Throws EssError `usage` if the text is not of this kind. */
export function readFlag<Kind extends FlagKind>(kind: Kind, text: string, flag: string): FlagValues[Kind] {
  return READERS[kind](text, flag)
}

/** The default of a flag as --help shows it; undefined where there is none. Reading its text gives it again. */
export function shownDefault(row: FlagRow): string | number | boolean | undefined {
  const { kind } = row
  const value = row.commandDefault ?? row.default
  if (value === undefined || value === null) return undefined
  if (kind === 'size') return sizeInWords(Number(value))
  if (kind === 'seconds') return `${Number(value)}s`
  return typeof value === 'object' ? value.join(',') : value
}

/** The largest unit that leaves a whole number: 1GiB. */
function sizeInWords(bytes: number): string {
  const [unit, factor] = UNITS.find(([, each]) => bytes > 0 && bytes % each === 0) ?? ['', 1]
  return `${bytes / factor}${unit}`
}

const UNITS = [
  ['TiB', 2 ** 40],
  ['GiB', 2 ** 30],
  ['MiB', 2 ** 20],
  ['KiB', 2 ** 10],
] as const

function choiceOf<Choice extends string>(choices: readonly Choice[]) {
  return (text: string, flag: string): Choice => {
    const choice = choices.find((one) => one === text)
    if (choice === undefined) throw unexpected(flag, `one of ${choices.join(', ')}`, text)
    return choice
  }
}

function unexpected(flag: string, expected: string, got: string): EssError {
  return new EssError('usage', `--${flag} must be ${expected}, not ${JSON.stringify(got)}.`)
}
