import yargs, { type Argv } from 'yargs'
import { DEFAULT_SERVER } from './send-options.js'
import { VERSION } from './version.js'

const HELP_WIDTH = 96

/** The command line's grammar and its help. It only parses: what it reads is text, and is checked elsewhere. */
export function parser(): Argv {
  return yargs()
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
    .epilog("More: 'ess send --help', 'ess get --help'.")
    .strictOptions()
    .version(VERSION)
    .help()
    .alias('help', 'h')
    .wrap(HELP_WIDTH)
    .exitProcess(false)
}

function sendOptions(command: Argv): Argv {
  return commonOptions(
    command
      .usage(
        'Usage: ess send [file]\n\nSends a file, or standard input where none (or -) is named. Prints the download URL at once;\nnothing is read before the receiver is there.',
      )
      .option('name', {
        type: 'string',
        requiresArg: true,
        describe: 'File name for the receiver [default: its own]',
      })
      .option('ttl', {
        type: 'string',
        requiresArg: true,
        describe: "Seconds to wait for a receiver [default: the server's limit]",
      })
      .option('reserve', {
        type: 'boolean',
        describe: 'Reserve first and upload separately, for a proxy that needs it',
      })
      .option('json', { type: 'boolean', describe: 'Print the events as NDJSON instead of the URL' }),
  )
    .example('ess send movie.mkv', 'one file')
    .example('tar c photos | ess send --name photos.tar', 'a folder')
    .example('ess send --server https://ess.example.org f', 'through another server')
}

function getOptions(command: Argv): Argv {
  return commonOptions(
    command
      .usage(
        'Usage: ess get <id | url>\n\nReceives into a file named as its sender named it, or to standard output when that is no terminal.\nA file appears under its name only when it is whole.',
      )
      .option('output', {
        alias: 'o',
        type: 'string',
        requiresArg: true,
        describe: "File to write, - for standard output [default: the sender's name]",
      })
      .option('force', { alias: 'f', type: 'boolean', describe: 'Overwrite a file that exists' })
      .option('wait', {
        type: 'string',
        requiresArg: true,
        describe: 'Seconds to wait for a sender that is not there yet [default: 0]',
      }),
  )
    .example('ess get AbCdEfGhIjKl', 'under the name its sender gave it')
    .example('ess get AbCdEfGhIjKl | tar x', 'a folder')
    .example('ess get https://ess.example.org/AbCdEfGhIjKl -o f', 'from elsewhere, into f')
}

function commonOptions(command: Argv): Argv {
  return command
    .option('server', {
      type: 'string',
      requiresArg: true,
      describe: `The server's URL [env: ESS_SERVER] [default: ${DEFAULT_SERVER}]`,
    })
    .option('quiet', { alias: 'q', type: 'boolean', describe: 'Say nothing but what went wrong' })
    .option('no-progress', { type: 'boolean', describe: 'No spinner, no bar, no hints' })
    .epilog(EXIT_STATUSES)
}

const EXIT_STATUSES = `Exit status: 0 whole or delivered, 2 usage, 3 refused, 4 not found or expired, 5 broken midway,
6 server unreachable, full or stopping, 8 trouble with a local file, 130 interrupted, 1 a bug.
HTTP_PROXY, HTTPS_PROXY, NO_PROXY and NODE_EXTRA_CA_CERTS are honoured, and so is NO_COLOR.`
