import { type FlagRow, GROUPS } from '../broker/option-kinds.js'
import { choicesOf, flagOf, namesOf } from '../broker/option-names.js'
import { OPTIONS } from '../broker/option-table.js'
import { shownDefault } from './flag-values.js'

/** Where the words of an option begin, if the terminal is wide enough for two columns. */
const WORDS_AT = 34

/** Longer lines are hard to read. */
const MAX_COLUMNS = 100

/** A narrower terminal gets the words below the flag. */
const MIN_TWO_COLUMNS = 72

const VALUE_NAMES: Readonly<Partial<Record<FlagRow['kind'], string>>> = {
  text: 'TEXT',
  url: 'URL',
  seconds: 'TIME',
  whole: 'NUMBER',
  workers: 'NUMBER',
  size: 'SIZE',
  list: 'LIST',
}

const EXAMPLES = [
  ['ess-server', 'for this machine alone'],
  ['ess-server --host 0.0.0.0 --open', 'for everyone who can reach it'],
  ['ess-server --host 0.0.0.0 --send-tokens FILE', 'for senders with a token'],
  ['ess-server --config ess.yaml --check', 'only checks options and files'],
] as const

/** The text of `ess-server --help`, for a terminal of that many columns. */
export function helpText(terminalColumns: number): string {
  const columns = Math.min(terminalColumns, MAX_COLUMNS)
  const wrapped = (text: string) => wrap(text, columns).join('\n')
  const examples = EXAMPLES.flatMap(([line, words]) => twoColumns(line, words, columns, 48))
  const groups = GROUPS.map((group) => {
    const rows = namesOf('command', 'both').filter((name) => OPTIONS[name].group === group)
    const lines = rows.flatMap((name) => {
      const row: FlagRow = OPTIONS[name]
      return twoColumns(flagInWords(flagOf(name), row), describe(row), columns, WORDS_AT)
    })
    return `${group}:\n${lines.join('\n')}\n`
  })
  const about = [
    ['-h, --help', 'Show this help'],
    ['-v, --version', 'Show the version'],
  ] as const
  return `${wrapped('ess-server passes files from a sender to a receiver over HTTP, and stores nothing.')}

Usage: ess-server [options]

${examples.join('\n')}

${groups.join('\n')}
${about.flatMap(([flag, words]) => twoColumns(flag, words, columns, WORDS_AT)).join('\n')}

${wrapped('A TIME is in seconds, or like 90s, 10m, 1h30m. A SIZE is in bytes, or like 500MB, 10GiB.')}

${wrapped('Each option is also an environment variable (--max-upload-bytes is ESS_MAX_UPLOAD_BYTES) and a name in the file of --config. Flags override variables, and variables override the file.')}

${wrapped('Exit status: 0 stopped politely, or nothing wrong with --check; 1 could not listen, or was stopped by force; 2 an option is wrong.')}
`
}

function flagInWords(flag: string, { kind, value }: FlagRow): string {
  const name = value ?? choicesOf(kind)?.join('|') ?? VALUE_NAMES[kind]
  return name === undefined ? `--${flag}` : `--${flag} ${name}`
}

function describe(row: FlagRow): string {
  const { kind, words, otherwise } = row
  const fallback = shownDefault(row) ?? otherwise
  // A switch that is off needs no word about it.
  const isOff = kind === 'switch' && fallback === false
  return fallback === undefined || isOff ? words : `${words} [default: ${fallback}]`
}

/** A line with its words beside it, or below where they have no room. */
function twoColumns(left: string, words: string, columns: number, at: number): string[] {
  const isWide = columns >= MIN_TWO_COLUMNS
  const indent = isWide ? at : 6
  const lines = wrap(words, columns - indent).map((line) => ' '.repeat(indent) + line)
  const first = `  ${left}`
  if (!isWide || first.length >= at - 1) return [first, ...lines]
  const [head = '', ...rest] = lines
  return [first + head.slice(first.length), ...rest]
}

/** Breaks text at spaces, so that no line is longer than `columns` unless one word is. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (longer.length > columns && line !== '') {
      lines.push(line)
      line = word
    } else line = longer
  }
  return [...lines, line]
}
