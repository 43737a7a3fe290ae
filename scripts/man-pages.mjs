// Usage: man-pages.mjs [FOLDER]
// Writes the manual pages ess(1) and ess-server(8) into FOLDER (default: dist/man), from the built tables of commands and
// options. `npm run build` calls it, so the pages are those of the version that they come with.

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { COMMAND_NAMES, operandName, rowOf, synopsis } from '../dist/client/cli/commands.js'
import { inOrder } from '../dist/client/cli/exit-words.js'
import { NOTES } from '../dist/client/cli/help.js'
import { wrap } from '../dist/client/cli/layout.js'
import { FLAGS, GROUPS } from '../dist/client/cli/options.js'
import { OWN_FLAGS } from '../dist/client/cli/parser.js'
import { choicesOf, flagOf, namesOf, variableOf } from '../dist/server/broker/option-names.js'
import { OPTIONS } from '../dist/server/broker/option-table.js'
import { shownDefault } from '../dist/server/cli/flag-values.js'
import { VERSION } from '../dist/shared/version.js'

/** The day of the build, or the one that a packager who wants the same bytes each time has set. */
const { SOURCE_DATE_EPOCH } = process.env
const DATE = new Date(SOURCE_DATE_EPOCH ? Number(SOURCE_DATE_EPOCH) * 1000 : Date.now())
  .toISOString()
  .slice(0, 10)

const [folder = fileURLToPath(new URL('../dist/man', import.meta.url))] = process.argv.slice(2)
await mkdir(folder, { recursive: true })
await writeFile(join(folder, 'ess.1'), clientPage())
await writeFile(join(folder, 'ess-server.8'), serverPage())

function clientPage() {
  return page('ess', 1, 'send a file to another machine, through a server that stores nothing', [
    section('SYNOPSIS', COMMAND_NAMES.map((name) => synopsisLine(name)).join('.br\n')),
    section(
      'DESCRIPTION',
      paragraphs([
        'ess sends a file and prints a link. The link gives the file to one receiver, who may use ess, curl or a browser. The bytes go through an ess-server, which stores nothing, and both sides are told how the transfer ended.',
        `The server is ${FLAGS.find(({ name }) => name === 'server').fallback} unless --server, ESS_SERVER or the configuration file names another.`,
      ]),
    ),
    ...COMMAND_NAMES.map(commandSection),
    section('OPTIONS OF EVERY COMMAND', OWN_FLAGS.map(clientFlag).join('')),
    section('ENVIRONMENT', clientVariables() + paragraphs([NOTES[1]])),
    section('FILES', item(italic('~/.config/ess/config.json'), NOTES[0].replace(/^\S+ /, ''))),
    section('EXIT STATUS', exitStatuses()),
    section('SEE ALSO', `.BR ess\\-server (8),\n.BR curl (1)\n`),
  ])
}

function synopsisLine(name) {
  const { operand } = rowOf(name)
  const operandText = italic(operandName(operand))
  const hasOptions = FLAGS.some(({ of }) => of.includes(name))
  const end = hasOptions ? ` [${italic('options')}]` : ''
  return `${bold(`ess ${name}`)} ${operand.isOptional ? `[${operandText}]` : operandText}${end}\n`
}

function commandSection(name) {
  const { about, aliases, examples } = rowOf(name)
  const also = aliases.length === 0 ? [] : [`Also: ess ${aliases.join(', ess ')}.`]
  const flags = FLAGS.filter(({ of }) => of.includes(name))
  const groups = Object.entries(GROUPS).flatMap(([group, title]) => {
    const own = flags.filter((flag) => flag.group === group)
    return own.length === 0
      ? []
      : [`.SS ${escaped(`${title}, with ess ${name}`)}\n${own.map(clientFlag).join('')}`]
  })
  const lines = examples.map(([line, purpose]) => item(bold(line), capital(`${purpose}.`)))
  return section(
    synopsis(name).toUpperCase(),
    [paragraphs([...about, ...also]), '.PP\nExamples:\n', ...lines, ...groups].join(''),
  )
}

function clientFlag({ flag, short, value, words, variable, fallback }) {
  const names = [short && bold(`-${short}`), bold(`--${flag}`)].filter(Boolean).join(', ')
  const facts = [variable && `Environment: ${variable}.`, fallback && `Default: ${fallback}.`]
  return item(value === undefined ? names : `${names} ${italic(value)}`, sentences(words, facts))
}

function clientVariables() {
  const rows = [
    ['ESS_SERVER', 'The server. --server overrides it.'],
    ['ESS_TOKEN', 'Your token for that server. --token-file overrides it.'],
    ['ESS_TOKEN_FILE', 'The file that holds your token.'],
    ['ESS_ENCRYPT', 'true encrypts all that you send. --encrypt and --no-encrypt override it.'],
    ['ESS_PASSWORD_FILE', 'The file that holds the password, so that none is asked for.'],
  ]
  return rows.map(([name, words]) => item(bold(name), words)).join('')
}

/** Each status once, with the meanings that it has in different commands. */
function exitStatuses() {
  const meanings = new Map()
  for (const name of COMMAND_NAMES)
    for (const [status, words] of inOrder(rowOf(name).exits)) {
      const known = meanings.get(status) ?? new Map()
      known.set(words, [...(known.get(words) ?? []), name])
      meanings.set(status, known)
    }
  return [...meanings]
    .sort(([one], [other]) => one - other)
    .map(([status, known]) => {
      const of = (names) => (known.size === 1 ? '' : ` (ess ${names.join(', ess ')})`)
      const words = [...known].map(([text, names]) => `${text}${of(names)}`).join('; ')
      return item(bold(String(status)), capital(`${words}.`))
    })
    .join('')
}

function serverPage() {
  const names = namesOf('command', 'both')
  // Options without a group come first, under no heading.
  const groups = [...new Set(names.map((name) => OPTIONS[name].group ?? ''))]
  const options = groups.map((group) => {
    const own = names.filter((name) => (OPTIONS[name].group ?? '') === group)
    const title = group === '' ? '' : `.SS ${escaped(capital(group))}\n`
    return title + own.map(serverFlag).join('')
  })
  return page('ess-server', 8, 'broker transfers between a sender and a receiver over HTTP', [
    section('SYNOPSIS', `${bold('ess-server')} [${italic('options')}]\n`),
    section(
      'DESCRIPTION',
      paragraphs([
        'ess-server takes an upload, answers at once with a link, and passes the bytes on when the link is opened. It stores nothing.',
        'It prints its address on standard output when it listens, and its log on standard error. SIGTERM lets running transfers finish; a second one does not.',
        'Each option is an environment variable too, and most are keys of the configuration file. A flag overrides its variable, and the variable overrides the file.',
      ]),
    ),
    section('OPTIONS', options.join('')),
    section(
      'EXIT STATUS',
      [
        ['0', 'Stopped after its last transfer, or checked and found nothing wrong.'],
        ['1', 'Could not listen, or was stopped by force.'],
        ['2', 'The command line, a variable or the configuration file is wrong.'],
      ]
        .map(([status, words]) => item(bold(status), words))
        .join(''),
    ),
    section('SEE ALSO', '.BR ess (1)\n'),
  ])
}

function serverFlag(name) {
  const { kind, value, words, otherwise } = OPTIONS[name]
  const flag = flagOf(name)
  const choices = choicesOf(kind)
  const fallback = shownDefault(OPTIONS[name]) ?? otherwise
  const facts = [
    choices && `One of ${choices.join(', ')}.`,
    `Environment: ${variableOf(flag)}.`,
    fallback !== undefined && `Default: ${fallback}.`,
  ]
  const names = bold(`--${flag}`)
  return item(value === undefined ? names : `${names} ${italic(value)}`, sentences(words, facts))
}

/** Words without their last full stop, and short facts after them. */
function sentences(words, facts) {
  return [/[.!?]$/.test(words) ? words : `${words}.`, ...facts.filter(Boolean)].join(' ')
}

function page(name, number, summary, sections) {
  const head = `.TH ${escaped(name.toUpperCase())} ${number} ${DATE} "ess ${VERSION}" "Ephemeral socket service"\n`
  return [head, section('NAME', `${escaped(name)} \\- ${escaped(summary)}\n`), ...sections].join('')
}

function section(title, body) {
  return `.SH ${escaped(title)}\n${body.replace(/^\.PP\n/, '')}`
}

function paragraphs(texts) {
  return texts.map((text) => `.PP\n${filled(text)}`).join('')
}

/** `term` is in roff already; `words` are not. */
function item(term, words) {
  return `.TP\n${term}\n${filled(words)}`
}

/** Each sentence begins a line, and no line is long, as roff wants it; with code marked. */
function filled(text) {
  const lines = escaped(text)
    .replace(/`([^`]*)`/g, (_whole, code) => `\\fB${code}\\fR`)
    .split(/(?<=[\w)][.:;?!]) (?=[A-Z])/)
    .flatMap((sentence) => wrap(sentence, 78))
  return lines.map((line) => `${line.replace(/^[.']/, '\\&$&')}\n`).join('')
}

function bold(text) {
  return `\\fB${escaped(text)}\\fR`
}

function italic(text) {
  return `\\fI${escaped(text)}\\fR`
}

/** Text in which roff finds nothing to obey, and hyphens that can be copied. */
function escaped(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('"', '\\(dq')
    .replaceAll("'", '\\(aq')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti')
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
