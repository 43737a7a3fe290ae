import { EssError, safeFileName, withoutUserinfo } from '../../shared/index.js'
import { bytesOf } from '../files/raw-arguments.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { type Config, readConfig } from './config.js'
import { flagOf, OPTIONS, type OptionName, type OptionsWith, type ValuesOf } from './options.js'
import { parser } from './parser.js'

/** A command line, checked. */
export type Command =
  | { readonly command: 'help'; readonly text: string }
  | ({ readonly command: 'send'; readonly file: string | undefined } & ValuesOf<'send'> & Common)
  | ({ readonly command: 'get'; readonly idOrUrl: string } & ValuesOf<'get'> & Common)

interface Common extends Omit<ValuesOf<'both'>, 'server'> {
  readonly server: string
  /** The configuration if it is for `server`; otherwise empty. */
  readonly configured: Config
  /** Why the configuration could not be read. Set only if the command can do without it. */
  readonly configTrouble: EssError | undefined
}

type Environment = Readonly<Record<string, string | undefined>>
/** What yargs read, by flag. An option that was not given is undefined. */
type Parsed = Readonly<Record<string, unknown>>

/** Reads a command line. Throws EssError `usage`, which says what was expected and what came. */
export async function parseArguments(argv: readonly string[], env: Environment): Promise<Command> {
  let text = ''
  const parsed: Parsed = await parser().parse([...argv], {}, (error, _parsed, output) => {
    if (error !== undefined && error !== null) throw new EssError('usage', error.message)
    text = output
  })
  if (text !== '') return { command: 'help', text: `${text}\n` }
  const [command, ...operands] = (parsed['_'] as readonly unknown[]).map(String) // yargs always sets it.
  if (command === 'send') return sendCommand(operands, parsed, await readCommon(parsed, env))
  if (command === 'get') return getCommand(operands, parsed, await readCommon(parsed, env, operands[0]))
  throw new EssError('usage', `Expected a command, send or get, got ${withoutUserinfo(command ?? 'none')}`)
}

function sendCommand(operands: readonly string[], parsed: Parsed, common: Common): Command {
  if (operands.length > 1) throw new EssError('usage', `Expected one file, got ${operands.length}`)
  const name = text(parsed, 'name')
  if (name !== undefined && safeFileName(name) === undefined)
    throw new EssError('usage', `Expected --name to be a file name, got ${JSON.stringify(name)}`)
  return {
    command: 'send',
    file: operands[0],
    name,
    ttl: seconds(parsed, 'ttl'),
    reserve: isOn(parsed, 'reserve'),
    json: isOn(parsed, 'json'),
    ...common,
  }
}

function getCommand(operands: readonly string[], parsed: Parsed, common: Common): Command {
  const [idOrUrl] = operands
  if (idOrUrl === undefined || operands.length > 1)
    throw new EssError('usage', `Expected one id or URL, got ${operands.length}`)
  const output = text(parsed, 'output')
  if (output === '') throw new EssError('usage', 'Expected --output to be a file or -, got nothing')
  return {
    command: 'get',
    idOrUrl,
    output,
    force: isOn(parsed, 'force'),
    wait: seconds(parsed, 'wait'),
    ...common,
  }
}

/** `idOrUrl` is the operand of `ess get`. A whole URL names its own server. */
async function readCommon(parsed: Parsed, env: Environment, idOrUrl = ''): Promise<Common> {
  const { config: configured, trouble } = await readConfig(env)
  const named = [
    { from: '--server', server: text(parsed, 'server') },
    { from: OPTIONS.server.variable, server: env[OPTIONS.server.variable] || undefined },
  ].find(({ server }) => server !== undefined)
  if (trouble !== undefined && named === undefined && !HTTP_URL.test(idOrUrl)) throw trouble
  const ownServer = serverUrl(configured.server ?? DEFAULT_SERVER, 'the server in config.json')
  const server = named === undefined ? ownServer : serverUrl(named.server ?? '', named.from)
  // The configured token belongs to the configured server and goes to no other.
  const isItsOwn = new URL(server).origin === new URL(ownServer).origin
  return {
    server,
    tokenFile: text(parsed, 'tokenFile'),
    configured: isItsOwn ? configured : {},
    configTrouble: trouble,
    quiet: isOn(parsed, 'quiet'),
    noProgress: isOn(parsed, 'noProgress'),
  }
}

const HTTP_URL = /^https?:\/\//i

/** Takes `host:port` too, because people type that. */
function serverUrl(typed: string, source: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `http://${typed}`
  if (URL.canParse(url) && HTTP_URL.test(url) && !/[?#]/.test(url)) return url
  throw new EssError(
    'usage',
    `Expected ${source} to be an http(s) URL, got ${JSON.stringify(withoutUserinfo(typed))}`,
  )
}

function seconds(
  parsed: Parsed,
  name: OptionsWith<{ kind: 'seconds' | 'seconds or 0' }>,
): number | undefined {
  const typed = text(parsed, name)
  if (typed === undefined) return undefined
  const number = Number(typed)
  const isPositive = OPTIONS[name].kind === 'seconds'
  const isInRange = isPositive ? number > 0 : number >= 0
  if (typed.trim() !== '' && Number.isFinite(number) && isInRange) return number
  const kind = isPositive ? 'a positive number' : 'zero or a positive number'
  throw new EssError(
    'usage',
    `Expected --${flagOf(name)} to be ${kind} of seconds, got ${JSON.stringify(typed)}`,
  )
}

function text(parsed: Parsed, name: OptionName): string | undefined {
  const value = parsed[flagOf(name)]
  if (value === undefined) return undefined
  const typed = String(value)
  if (bytesOf(typed) === undefined) return typed
  const advice = name === 'output' ? '; or write to standard output: ess get ID > FILE' : ''
  throw new EssError('usage', `Expected --${flagOf(name)} in UTF-8, got ${JSON.stringify(typed)}${advice}`)
}

function isOn(parsed: Parsed, name: OptionsWith<{ kind: 'switch' }>): boolean {
  return parsed[flagOf(name)] === true
}
