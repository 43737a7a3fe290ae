import { VERSION } from '../../shared/version.js'
import { COMMAND_NAMES, type CommandName, rowOf, synopsis } from './commands.js'
import { inOrder } from './exit-words.js'
import { examples, FIXED_SPACE, page, type Row, section, table, wrap } from './layout.js'
import { FLAGS, type Flag, type FlagNames, flagLabel, GROUPS } from './options.js'
import { OWN_FLAGS } from './parser.js'

/** What `ess --help` prints: one screen of 80 columns and 24 rows. */
export function overview(width: number): string {
  return page([
    [...wrap('ess sends files to another machine, through a server that stores nothing.', width)],
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
          ...Object.entries(GROUPS)
            .map(([group, title]): Row => [title, flagNames(FLAGS.filter((flag) => flag.group === group))])
            .filter(([, names]) => names !== ''),
          ['Help', flagNames(OWN_FLAGS)],
        ],
        width,
      ),
    ),
  ])
}

const OVERVIEW_EXAMPLES = [
  ['ess send movie.mkv', 'prints a link'],
  ['ess get https://send.example.org/AbCdEfGhIjKl', 'saves the file'],
  ['ess send --encrypt photos notes.txt', 'a folder and a file, encrypted'],
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
  const groups = [
    ...Object.entries(GROUPS).map(([group, title]) => ({
      title,
      rows: flags.filter((flag) => flag.group === group).map(flagRow),
    })),
    { title: 'Help', rows: OWN_FLAGS.map(flagRow) },
  ].filter(({ rows }) => rows.length > 0)
  const allRows = groups.flatMap(({ rows }) => rows)
  const statuses = inOrder(exits).map(([status, words]): Row => [`${status}`, words])
  const usage = flags.length === 0 ? synopsis(name) : `${synopsis(name)} [OPTIONS]`
  const names = aliases.length === 0 ? [] : [`Also: ess ${aliases.join(', ess ')}.`]
  const [first = '', ...more] = about.map((paragraph) => paragraph.replaceAll('`', ''))
  return page([
    wrap(`Usage: ${usage}`, width),
    wrap(first, width),
    section('Examples:', examples(lines, width)),
    ...[...more, ...names].map((paragraph) => wrap(paragraph, width)),
    ...groups.map(({ title, rows }) => section(`${title}:`, table(rows, width, allRows))),
    ...(flags.length === 0 ? [] : NOTES).map((paragraph) => wrap(paragraph, width)),
    section('Exit status:', table(statuses, width)),
  ])
}

/** What is true of every command that asks a server. The man page has it too. */
export const NOTES = [
  '~/.config/ess/config.json may set "server", its "token" or "tokenFile", and "encrypt": {"server": "https://send.example.org", "encrypt": true}. The token goes to that server only.',
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
