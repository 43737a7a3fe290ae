import { EssError, safeFileName, withoutUserinfo } from '../../shared/index.js'
import { bytesOf } from '../files/raw-arguments.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { type Config, readConfig } from './config.js'
import { parser } from './parser.js'

/** What a command line asks for, checked. */
export type Command =
  | { readonly command: 'help'; readonly text: string }
  | ({ readonly command: 'send'; readonly file: string | undefined } & SendFlags & CommonFlags)
  | ({ readonly command: 'get'; readonly idOrUrl: string } & GetFlags & CommonFlags)

interface SendFlags {
  readonly name: string | undefined
  readonly ttl: number | undefined
  readonly reserve: boolean
  readonly json: boolean
}

interface GetFlags {
  readonly output: string | undefined
  readonly force: boolean
  readonly wait: number | undefined
}

interface CommonFlags {
  readonly server: string
  readonly tokenFile: string | undefined
  /** What the configuration says, for its own server. */
  readonly configured: Config
  /** Why the configuration could not be read, where the command can do without it. */
  readonly configTrouble: EssError | undefined
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
  if (command === 'send') return sendCommand(operands, values, await commonFlags(values, env))
  if (command === 'get') return getCommand(operands, values, await commonFlags(values, env, operands[0]))
  throw new EssError('usage', `Expected a command, send or get, got ${withoutUserinfo(command ?? 'none')}`)
}

function sendCommand(operands: readonly string[], values: Values, common: CommonFlags): Command {
  if (operands.length > 1) throw new EssError('usage', `Expected one file, got ${operands.length}`)
  const name = text(values, 'name')
  if (name !== undefined && safeFileName(name) === undefined)
    throw new EssError('usage', `Expected --name to be a file name, got ${JSON.stringify(name)}`)
  return {
    command: 'send',
    file: operands[0],
    name,
    ttl: seconds(values, 'ttl'),
    reserve: values['reserve'] === true,
    json: values['json'] === true,
    ...common,
  }
}

function getCommand(operands: readonly string[], values: Values, common: CommonFlags): Command {
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
    wait: seconds(values, 'wait', 'zero too'),
    ...common,
  }
}

/** `idOrUrl` is what is received; a whole URL names its server itself. */
async function commonFlags(values: Values, env: Environment, idOrUrl = ''): Promise<CommonFlags> {
  const { config: configured, trouble } = await readConfig(env)
  const named = [
    { from: '--server', server: text(values, 'server') },
    { from: 'ESS_SERVER', server: env['ESS_SERVER'] || undefined },
  ].find(({ server }) => server !== undefined)
  if (trouble !== undefined && named === undefined && !HTTP_URL.test(idOrUrl)) throw trouble
  const ownServer = serverUrl(configured.server ?? DEFAULT_SERVER, 'the server in config.json')
  const server = named === undefined ? ownServer : serverUrl(named.server ?? '', named.from)
  // A token is for the server that it was written down with, and for no other.
  const isItsOwn = new URL(server).origin === new URL(ownServer).origin
  return {
    server,
    tokenFile: text(values, 'token-file'),
    configured: isItsOwn ? configured : {},
    configTrouble: trouble,
    quiet: values['quiet'] === true,
    progress: values['no-progress'] !== true,
  }
}

const HTTP_URL = /^https?:\/\//i

/** `host:port` is enough of a URL for a person to type. */
function serverUrl(typed: string, source: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `http://${typed}`
  if (URL.canParse(url) && HTTP_URL.test(url) && !/[?#]/.test(url)) return url
  throw new EssError(
    'usage',
    `Expected ${source} to be an http(s) URL, got ${JSON.stringify(withoutUserinfo(typed))}`,
  )
}

function seconds(
  values: Values,
  name: string,
  range: 'positive' | 'zero too' = 'positive',
): number | undefined {
  const typed = text(values, name)
  if (typed === undefined) return undefined
  const number = Number(typed)
  const isInRange = range === 'positive' ? number > 0 : number >= 0
  if (typed.trim() !== '' && Number.isFinite(number) && isInRange) return number
  const kind = range === 'positive' ? 'a positive number' : 'zero or a positive number'
  throw new EssError('usage', `Expected --${name} to be ${kind} of seconds, got ${JSON.stringify(typed)}`)
}

function text(values: Values, name: string): string | undefined {
  const value = values[name]
  if (value === undefined) return undefined
  const typed = String(value)
  if (bytesOf(typed) === undefined) return typed
  const advice = name === 'output' ? '; or write to standard output: ess get ID > FILE' : ''
  throw new EssError('usage', `Expected --${name} in UTF-8, got ${JSON.stringify(typed)}${advice}`)
}
