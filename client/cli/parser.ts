import yargs, { type Argv, type Options } from 'yargs'
import { VERSION } from '../../shared/version.js'
import { flagsOf, type OptionRow, type TransferName } from './options.js'

const HELP_WIDTH = 96

/** The grammar of the command line, and its help. Every value stays text; arguments.ts checks it. */
export function parser(): Argv {
  // yargs would ask for the current folder, which may have been removed, so it gets one.
  return yargs([], '/')
    .scriptName('ess')
    .locale('en')
    .parserConfiguration({
      // An id of twelve digits must stay text, and --no-progress is an option's own name.
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': false,
    })
    .usage('ess: a file from here to there, through a server that stores nothing.\n\nUsage: ess <command>')
    .command('send', 'send a file, or what is piped in', sendOptions)
    .command('get', 'receive what is sent under an id', getOptions)
    .epilog(OVERVIEW)
    .strictOptions()
    .version(VERSION)
    .help()
    .alias('help', 'h')
    .wrap(HELP_WIDTH)
    .exitProcess(false)
}

const OVERVIEW = `Options of send:  ${flagNames('send')}
Options of get:   ${flagNames('get')}
Options of both:  ${flagNames('both')}

More: 'ess send --help', 'ess get --help'.`

/** The flags in one line, for `ess --help`. */
function flagNames(of: OptionRow['of']): string {
  return Object.entries(flagsOf(of))
    .map(([flag, { short }]) => (short === undefined ? `--${flag}` : `-${short}, --${flag}`))
    .join('  ')
}

/** The options of a command, then those of both. */
function optionsOf(command: TransferName): Readonly<Record<string, Options>> {
  const flags = Object.entries({ ...flagsOf(command), ...flagsOf('both') })
  return Object.fromEntries(flags.map(([flag, row]) => [flag, grammarOf(row)]))
}

function grammarOf({ kind, short, words, variable, fallback }: OptionRow): Options {
  const origin = [variable && `[env: ${variable}]`, fallback && `[default: ${fallback}]`]
  const describe = [words, ...origin].filter(Boolean).join(' ')
  const alias = short === undefined ? {} : { alias: short }
  return kind === 'switch'
    ? { ...alias, type: 'boolean', describe }
    : { ...alias, type: 'string', requiresArg: true, describe }
}

function sendOptions(command: Argv): Argv {
  return command
    .usage(
      'Usage: ess send [file]\n\nSends a file, or standard input where none (or -) is named. Prints the download URL at once;\nnothing is read before the receiver is there.',
    )
    .options(optionsOf('send'))
    .epilog(EXIT_STATUSES)
    .example('ess send movie.mkv', 'one file')
    .example('tar c photos | ess send --name photos.tar', 'a folder')
    .example('ess send --server https://ess.example.org f', 'through another server')
}

function getOptions(command: Argv): Argv {
  return command
    .usage(
      'Usage: ess get <id | url>\n\nReceives into a file named as its sender named it, or to standard output when that is no terminal.\nA file appears under its name only when it is whole.',
    )
    .options(optionsOf('get'))
    .epilog(EXIT_STATUSES)
    .example('ess get AbCdEfGhIjKl', 'under the name its sender gave it')
    .example('ess get AbCdEfGhIjKl | tar x', 'a folder')
    .example('ess get https://ess.example.org/ID -o f', 'from elsewhere, into f')
}

const EXIT_STATUSES = `Exit status: 0 whole or delivered, 2 usage, 3 refused, 4 not found or expired, 5 broken midway,
6 server unreachable, stopping, or full (for you or for all; says when to try again), 7 not confirmed, 8 trouble with a local file, 130 interrupted (143 by SIGTERM), 1 a bug.
~/.config/ess/config.json may hold "server", and its "token" or "tokenFile".
HTTP_PROXY, HTTPS_PROXY, NO_PROXY and NODE_EXTRA_CA_CERTS are honoured, and so is NO_COLOR.`
