import yargs, { type Argv, type Options } from 'yargs'
import { VERSION } from '../../shared/version.js'
import { DEFAULT_SERVER } from '../http/default-server.js'

const HELP_WIDTH = 96

/** The command line's grammar and its help. It only parses: what it reads is text, and is checked elsewhere. */
export function parser(): Argv {
  // Without a folder of its own yargs asks for the current one, which may have been removed.
  return yargs([], '/')
    .scriptName('ess')
    .locale('en')
    .parserConfiguration({
      // An id of twelve digits is no number, and --no-progress is the option's own name.
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

const SEND_OPTIONS = {
  name: { type: 'string', requiresArg: true, describe: 'File name for the receiver [default: its own]' },
  ttl: {
    type: 'string',
    requiresArg: true,
    describe: "Seconds to wait for a receiver [default: the server's limit]",
  },
  reserve: { type: 'boolean', describe: 'Reserve first and upload separately, for a proxy that needs it' },
  json: { type: 'boolean', describe: 'Print the events as NDJSON instead of the URL' },
} as const satisfies Record<string, Options>

const GET_OPTIONS = {
  output: {
    alias: 'o',
    type: 'string',
    requiresArg: true,
    describe: "File to write, - for standard output [default: the sender's name; - off a terminal]",
  },
  force: { alias: 'f', type: 'boolean', describe: 'Overwrite a file that exists' },
  wait: {
    type: 'string',
    requiresArg: true,
    describe: 'Seconds to wait for a sender that is not there yet [default: 0]',
  },
} as const satisfies Record<string, Options>

const COMMON_OPTIONS = {
  server: {
    type: 'string',
    requiresArg: true,
    describe: `The server's URL [env: ESS_SERVER] [default: ${DEFAULT_SERVER}]`,
  },
  'token-file': {
    type: 'string',
    requiresArg: true,
    describe:
      'File with the token that the server wants; ESS_TOKEN is the token itself [env: ESS_TOKEN_FILE]',
  },
  quiet: { alias: 'q', type: 'boolean', describe: 'Say nothing but what went wrong' },
  'no-progress': { type: 'boolean', describe: 'No spinner, no bar, no hints' },
} as const satisfies Record<string, Options>

/** Which options there are, in a line, for who has not said yet what to do. */
function names(options: Readonly<Record<string, Options>>): string {
  return Object.entries(options)
    .map(([name, { alias }]) => (alias === undefined ? `--${name}` : `-${String(alias)}, --${name}`))
    .join('  ')
}

const OVERVIEW = `Options of send:  ${names(SEND_OPTIONS)}
Options of get:   ${names(GET_OPTIONS)}
Options of both:  ${names(COMMON_OPTIONS)}

More: 'ess send --help', 'ess get --help'.`

function sendOptions(command: Argv): Argv {
  return command
    .usage(
      'Usage: ess send [file]\n\nSends a file, or standard input where none (or -) is named. Prints the download URL at once;\nnothing is read before the receiver is there.',
    )
    .options(SEND_OPTIONS)
    .options(COMMON_OPTIONS)
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
    .options(GET_OPTIONS)
    .options(COMMON_OPTIONS)
    .epilog(EXIT_STATUSES)
    .example('ess get AbCdEfGhIjKl', 'under the name its sender gave it')
    .example('ess get AbCdEfGhIjKl | tar x', 'a folder')
    .example('ess get https://ess.example.org/ID -o f', 'from elsewhere, into f')
}

const EXIT_STATUSES = `Exit status: 0 whole or delivered, 2 usage, 3 refused, 4 not found or expired, 5 broken midway,
6 server unreachable, stopping, or full (for you or for all; says when to try again), 7 not confirmed, 8 trouble with a local file, 130 interrupted (143 by SIGTERM), 1 a bug.
~/.config/ess/config.json may hold "server", and its "token" or "tokenFile".
HTTP_PROXY, HTTPS_PROXY, NO_PROXY and NODE_EXTRA_CA_CERTS are honoured, and so is NO_COLOR.`
