import { VERSION } from '../../shared/version.js'
import { COMMAND_NAMES, type CommandName, rowOf, synopsis } from './commands.js'
import { inOrder } from './exit-words.js'
import { FLAGS, type Flag, type FlagNames, flagLabel, GROUPS } from './options.js'
import { OWN_FLAGS } from './parser.js'

/** Longer lines are hard to read. */
const MAX_WIDTH = 100
/** For output that is no terminal, or one that doesn't say. */
const USUAL_WIDTH = 80
const MIN_WIDTH = 30
/** With less room for the words, they go below their label. */
const MIN_WORDS_WIDTH = 34
const MAX_LABEL_WIDTH = 24
const INDENT = '  '
/** A space at which `wrap` doesn't cut. It prints an ordinary one. */
const FIXED_SPACE = '\u00a0'

/** The width of help on a terminal with so many columns. */
export function helpWidth(columns: number | undefined): number {
  // A serial line says 0. The last column stays free: some terminals wrap a line that fills it.
  return columns ? Math.max(MIN_WIDTH, Math.min(MAX_WIDTH, columns - 1)) : USUAL_WIDTH
}

/** What `ess --help` prints: one screen of 80 columns and 24 rows. */
export function overview(width: number): string {
  return page([
    [...wrap('ess sends a file to another machine, through a server that stores nothing.', width)],
    section('Examples:', examples(OVERVIEW_EXAMPLES, width)),
    section(
      'Commands:',
      table(
        COMMAND_NAMES.map((name) => [synopsis(name).slice('ess '.length), summaryOf(name)]),
        width,
      ),
    ),
    section(
      'Options:',
      table(
        [
          ...Object.entries(GROUPS).map(
            ([group, title]): Row => [title, flagNames(FLAGS.filter((flag) => flag.group === group))],
          ),
          ['Help', flagNames(OWN_FLAGS)],
        ],
        width,
      ),
    ),
    wrap('ess help send and ess help get explain the options and the exit statuses.', width),
  ])
}

const OVERVIEW_EXAMPLES = [
  ['ess send movie.mkv', 'prints a link'],
  ['ess get https://send.example.org/AbCdEfGhIjKl', 'saves the file'],
  ['tar c photos | ess send --name photos.tar', 'sends a folder'],
  ['ess get LINK | tar x', 'receives it'],
] as const

function summaryOf(name: CommandName): string {
  const { summary, aliases } = rowOf(name)
  return aliases.length === 0 ? summary : `${summary}. Also: ess ${aliases.join(', ess ')}`
}

/** Flags in a line. */
function flagNames(flags: readonly FlagNames[]): string {
  return flags
    .map((flag) => flagLabel({ ...flag, value: undefined }).replaceAll(' ', FIXED_SPACE))
    .join(`${FIXED_SPACE} `)
}

/** What `ess send --help` prints. */
export function commandHelp(name: CommandName, width: number): string {
  const { about, examples: lines, aliases, exits } = rowOf(name)
  const flags = FLAGS.filter(({ of }) => of.some((command) => command === name))
  const groups = Object.entries(GROUPS)
    .map(([group, title]) => ({ title, rows: flags.filter((flag) => flag.group === group).map(flagRow) }))
    .filter(({ rows }) => rows.length > 0)
  const usage = flags.length === 0 ? synopsis(name) : `${synopsis(name)} [OPTIONS]`
  const names = aliases.length === 0 ? [] : [`Also: ess ${aliases.join(', ess ')}.`]
  return page([
    wrap(`Usage: ${usage}`, width),
    ...[...about, ...names].map((paragraph) => wrap(paragraph.replaceAll('`', ''), width)),
    section('Examples:', examples(lines, width)),
    ...groups.map(({ title, rows }) => section(`${title}:`, table(rows, width))),
    section('Help:', table(OWN_FLAGS.map(flagRow), width)),
    ...(flags.length === 0 ? [] : NOTES).map((paragraph) => wrap(paragraph, width)),
    section(
      'Exit status:',
      table(
        inOrder(exits).map(([status, words]) => [`${status}`, words]),
        width,
      ),
    ),
  ])
}

/** What is true of every command that asks a server. The man page has it too. */
export const NOTES = [
  '~/.config/ess/config.json may set "server", and its "token" or "tokenFile": {"server": "https://send.example.org"}. The token goes to that server only.',
  'HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, NODE_EXTRA_CA_CERTS and NO_COLOR work as usual.',
] as const

/** What `ess --version` prints. */
export const versionLine = `${VERSION}\n`

function flagRow(flag: FlagNames & Partial<Flag> & Pick<Flag, 'words'>): Row {
  const { words, variable, fallback } = flag
  const origin = [variable && `[env: ${variable}]`, fallback && `[default: ${fallback}]`]
  const kept = origin.map((text) => text?.replaceAll(' ', FIXED_SPACE))
  return [flagLabel(flag), [words, ...kept].filter(Boolean).join(' ')]
}

type Row = readonly [label: string, words: string]

function page(parts: readonly (readonly string[])[]): string {
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return [title, ...lines]
}

/** Labels in a column on the left, their words on the right; below one another where that leaves no room. */
function table(rows: readonly Row[], width: number): string[] {
  const longest = Math.max(
    ...rows.map(([label]) => label.length).filter((length) => length <= MAX_LABEL_WIDTH),
  )
  const column = INDENT.length + longest + 2
  if (width - column < MIN_WORDS_WIDTH)
    return rows.flatMap(([label, words]) => [INDENT + label, ...indented(words, INDENT.length * 3, width)])
  return rows.flatMap(([label, words]) => {
    const [first = '', ...rest] = indented(words, column, width)
    const start = INDENT + label
    if (start.length + 2 > column) return [start, first, ...rest]
    return [start.padEnd(column) + first.slice(column), ...rest]
  })
}

/** Lines to type, which never wrap: half a command is another command. */
function examples(rows: readonly Row[], width: number): string[] {
  const column = INDENT.length + Math.max(...rows.map(([line]) => line.length)) + 2
  const isTight = rows.some(([, purpose]) => column + purpose.length > width)
  return rows.flatMap(([line, purpose]) =>
    isTight ? [`${INDENT}# ${purpose}`, INDENT + line] : [`${(INDENT + line).padEnd(column)}${purpose}`],
  )
}

function indented(words: string, column: number, width: number): string[] {
  return wrap(words, width - column).map((line) => ' '.repeat(column) + line)
}

/** Cuts a paragraph into lines at its spaces. A longer word gets a line of its own. */
export function wrap(paragraph: string, width: number): string[] {
  const lines: string[] = []
  const words = paragraph.split(' ')
  for (const word of words.flatMap((one) => (one.length > width ? one.split(FIXED_SPACE) : [one]))) {
    const line = lines.at(-1)
    if (line === undefined || line.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines.map((line) => line.replaceAll(FIXED_SPACE, ' ').trimEnd())
}
