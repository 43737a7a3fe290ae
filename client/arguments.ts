import yargs, { type Argv } from 'yargs'
import { EssError, safeFileName } from '../shared/index.js'
import { DEFAULT_SERVER } from './send.js'
import { VERSION } from './version.js'

/** What a command line asks for, checked. */
export type Command =
  | { readonly command: 'help'; readonly text: string }
  | ({ readonly command: 'send'; readonly file: string | undefined } & SendFlags & CommonFlags)
  | ({ readonly command: 'get'; readonly idOrUrl: string } & GetFlags & CommonFlags)

interface SendFlags {
  readonly name: string | undefined
  readonly ttl: number | undefined
  readonly json: boolean
}

interface GetFlags {
  readonly output: string | undefined
  readonly force: boolean
  readonly wait: number | undefined
}

interface CommonFlags {
  readonly server: string
  readonly quiet: boolean
  readonly progress: boolean
}

type Environment = Readonly<Record<string, string | undefined>>
type Values = Readonly<Record<string, unknown>>

/** Reads a command line. Throws EssError `usage` with what was expected and what came. */
export async function parseArguments(argv: readonly string[], env: Environment): Promise<Command> {
  let text = ''
  const values: Values = await parser().parse([...argv], {}, (error, _values, output) => {
    if (error !== undefined && error !== null) throw new EssError('usage', error.message)
    text = output
  })
  if (text !== '') return { command: 'help', text: `${text}\n` }
  const [command, ...operands] = (values['_'] as readonly unknown[]).map(String) // yargs always sets it.
  if (command === 'send') return sendCommand(operands, values, env)
  if (command === 'get') return getCommand(operands, values, env)
  throw new EssError('usage', `Expected a command, send or get, got ${command ?? 'none'}`)
}

function sendCommand(operands: readonly string[], values: Values, env: Environment): Command {
  if (operands.length > 1) throw new EssError('usage', `Expected one file, got ${operands.length}`)
  const name = text(values, 'name')
  if (name !== undefined && safeFileName(name) === undefined)
    throw new EssError('usage', `Expected --name to be a file name, got ${JSON.stringify(name)}`)
  return {
    command: 'send',
    file: operands[0],
    name,
    ttl: seconds(values, 'ttl'),
    json: values['json'] === true,
    ...commonFlags(values, env),
  }
}

function getCommand(operands: readonly string[], values: Values, env: Environment): Command {
  const [idOrUrl] = operands
  if (idOrUrl === undefined || operands.length > 1)
    throw new EssError('usage', `Expected one id or URL, got ${operands.length}`)
  const output = text(values, 'output')
  if (output === '') throw new EssError('usage', 'Expected --output to be a file or -, got nothing')
  return {
    command: 'get',
    idOrUrl,
    output,
    force: values['force'] === true,
    wait: seconds(values, 'wait'),
    ...commonFlags(values, env),
  }
}

function commonFlags(values: Values, env: Environment): CommonFlags {
  const flag = text(values, 'server')
  const server = flag ?? (env['ESS_SERVER'] || DEFAULT_SERVER)
  return {
    server: serverUrl(server, flag === undefined ? 'ESS_SERVER' : '--server'),
    quiet: values['quiet'] === true,
    progress: values['no-progress'] !== true,
  }
}

/** `host:port` is enough of a URL for a person to type. */
function serverUrl(typed: string, source: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `http://${typed}`
  if (URL.canParse(url) && /^https?:\/\//i.test(url) && !/[?#]/.test(url)) return url
  throw new EssError('usage', `Expected ${source} to be an http(s) URL, got ${JSON.stringify(typed)}`)
}

function seconds(values: Values, name: string): number | undefined {
  const typed = text(values, name)
  if (typed === undefined) return undefined
  const number = Number(typed)
  if (typed.trim() !== '' && Number.isFinite(number) && number > 0) return number
  throw new EssError(
    'usage',
    `Expected --${name} to be a positive number of seconds, got ${JSON.stringify(typed)}`,
  )
}

function text(values: Values, name: string): string | undefined {
  const value = values[name]
  return value === undefined ? undefined : String(value)
}

const HELP_WIDTH = 96

function parser(): Argv {
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
