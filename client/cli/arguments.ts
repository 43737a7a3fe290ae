import { EssError, parseDuration, safeFileName, withoutUserinfo } from '../../shared/index.js'
import { bytesOf } from '../files/raw-arguments.js'
import { type CommandName, commandNamed, SHELLS } from './commands.js'
import { type Config, readConfig } from './config.js'
import { checkTogether, WAYS_TO_ENCRYPT } from './contradictions.js'
import { commandHelp, overview, versionLine } from './help.js'
import { HOME_SERVER } from './home-server.js'
import type { Io } from './io.js'
import { helpWidth } from './layout.js'
import { adviceOnCommand, linkIn, noCommand, refusalToSend } from './mistakes.js'
import {
  flagOf,
  OPTIONS,
  type OptionCommand,
  type OptionName,
  type OptionsWith,
  type ValuesOf,
} from './options.js'
import { checkOptionsOf, cut, type Words } from './parser.js'
import { serverUrl } from './server-address.js'

/** A command line, checked. */
export type Command =
  | Printed
  | ({
      readonly command: 'send'
      readonly operands: readonly string[]
      /** Why the operands can't be sent. It is thrown later, because with --json it is an event too. */
      readonly refusal: EssError | undefined
      /** What the flags, the variable and the configuration come to. */
      readonly encrypt: boolean
      /** True if only the configuration could have asked for encryption, and it can't be read. */
      readonly isEncryptionUnknown: boolean
    } & Omit<Transfer<'send'>, 'encrypt'>)
  /** `idOrUrl` is an id of `server`, or a whole URL. */
  | ({ readonly command: 'get'; readonly idOrUrl: string } & Transfer<'get'>)
  | ({ readonly command: 'doctor' } & Transfer<'doctor'>)

/** Text to print, and that is all. */
export interface Printed {
  readonly command: 'print'
  readonly text: string
  /** False for a bare `ess`. */
  readonly isAsked: boolean
}

type Transfer<Name extends OptionCommand> = Omit<ValuesOf<Name>, 'server'> & Common

interface Common {
  readonly server: string
  /** The configuration if it is for `server`; otherwise empty. */
  readonly configured: Config
  /** Why the configuration could not be read. Set only if the command can do without it. */
  readonly configTrouble: EssError | undefined
}

export type TransferCommand = Exclude<Command, { command: 'print' | 'doctor' }>

/** What reading a command line needs of the outside world. */
type Outside = Pick<Io, 'env' | 'cwd' | 'stdout' | 'stderr'>

/** Reads a command line. Throws EssError `usage`, which says what is wrong and what to type. */
export async function parseArguments(argv: readonly string[], io: Outside): Promise<Command> {
  const words = cut(argv)
  if (words.isVersion) return { command: 'print', text: versionLine, isAsked: true }
  if (words.command === undefined) return overviewFor(words.isHelp, io)
  const name = commandNamed(words.command)
  if (name === undefined) throw noCommand(words.command, io.cwd)
  const toHelpWith = (name === 'help' ? helpTopic(words) : undefined) ?? (words.isHelp ? name : undefined)
  if (toHelpWith !== undefined)
    return { command: 'print', text: commandHelp(toHelpWith, helpWidth(columnsOf(io.stdout))), isAsked: true }
  if (name === 'help') return overviewFor(true, io)
  checkOptionsOf(name, words)
  return await READERS[name](words, io)
}

const READERS: Readonly<
  Record<Exclude<CommandName, 'help'>, (words: Words, io: Outside) => Command | Promise<Command>>
> = {
  send: sendCommand,
  get: getCommand,
  doctor: doctorCommand,
  completion: completionCommand,
}

function overviewFor(isAsked: boolean, { stdout, stderr }: Outside): Command {
  const text = overview(helpWidth(columnsOf(isAsked ? stdout : stderr)))
  return { command: 'print', text, isAsked }
}

function columnsOf(stream: Outside['stdout'] | Outside['stderr']): number | undefined {
  return stream.isTTY ? stream.columns : undefined
}

/** The command that `ess help` was asked about. */
function helpTopic({ operands }: Words): CommandName | undefined {
  const [topic, ...others] = operands
  if (others.length > 0) {
    const line = `Run ess help ${withoutUserinfo(topic ?? '')}, and so on.`
    throw new EssError('usage', `ess help explains one command at a time, not ${operands.length}. ${line}`)
  }
  if (topic === undefined) return undefined
  const name = commandNamed(topic)
  if (name !== undefined) return name
  const what =
    topic.trim() === '' ? 'The name of the command is empty' : `There is no command ${withoutUserinfo(topic)}`
  throw new EssError('usage', `${what}. ${adviceOnCommand(topic, 'ess help ')}`)
}

async function completionCommand({ operands }: Words): Promise<Command> {
  const [typed, ...others] = operands
  const shell = SHELLS.find((one) => one === typed)
  if (shell !== undefined && others.length === 0) {
    const { completion } = await import('./completion/completion.js')
    return { command: 'print', text: completion(shell), isAsked: true }
  }
  const what =
    typed === undefined
      ? 'needs the name of a shell'
      : `knows no shell ${withoutUserinfo(operands.join(' '))}`
  throw new EssError(
    'usage',
    `ess completion ${what}. Run ess completion ${SHELLS.join(', or ess completion ')}.`,
  )
}

async function sendCommand(words: Words, io: Outside): Promise<Command> {
  const name = text(words, 'name')
  if (name !== undefined && safeFileName(name) === undefined)
    throw new EssError(
      'usage',
      `${JSON.stringify(name)} can't be a file name. Give --name one without a folder, such as --name photos.tar.`,
    )
  checkTogether(words)
  const { own, ...common } = await readCommon(words, io)
  const encrypt = wantsEncryption(words, io.env)
  return {
    command: 'send',
    operands: words.operands,
    refusal: refusalToSend(words, io.cwd),
    name,
    text: isOn(words, 'text'),
    qr: isOn(words, 'qr'),
    exclude: texts(words, 'exclude'),
    gitignore: isOn(words, 'gitignore'),
    dereference: isOn(words, 'dereference'),
    encrypt: encrypt ?? own.encrypt ?? false,
    isEncryptionUnknown: encrypt === undefined && common.configTrouble !== undefined,
    to: texts(words, 'to'),
    toFile: texts(words, 'toFile'),
    password: isOn(words, 'password'),
    ttl: duration(words, 'ttl'),
    reserve: isOn(words, 'reserve'),
    json: isOn(words, 'json'),
    ...output(words),
    ...common,
  }
}

/** Undefined if neither a flag nor the variable says. */
function wantsEncryption({ options }: Words, env: Outside['env']): boolean | undefined {
  if (options.encrypt !== undefined) return options.encrypt === true
  if (WAYS_TO_ENCRYPT.some((name) => options[name] !== undefined)) return true
  const { variable } = OPTIONS.encrypt
  const typed = env[variable] ?? ''
  if (typed === '') return undefined
  if (typed === 'true' || typed === '1') return true
  if (typed === 'false' || typed === '0') return false
  throw new EssError('usage', `${variable} must be true or false, not ${JSON.stringify(typed)}.`)
}

async function getCommand(words: Words, io: Outside): Promise<Command> {
  // `ess get ` and then the whole line that the sender was shown, or the same line's second half.
  const [first, second = ''] = words.operands
  const isLine = first === 'ess' && commandNamed(second) === 'get'
  const [pasted, ...others] = isLine ? words.operands.slice(2) : words.operands
  if (pasted === undefined)
    throw new EssError('usage', 'ess get needs a link. Paste the one that the sender printed: ess get LINK')
  if (others.length > 0)
    throw new EssError(
      'usage',
      `ess get takes one link, and you gave ${others.length + 1}. Put quotes around it if it has spaces, or run ess get once for each.`,
    )
  const path = text(words, 'output')
  if (path === '')
    throw new EssError(
      'usage',
      'The value of --output is empty. Write --output FILE, or --output - for standard output.',
    )
  const isWhole = /https?:\//i.test(pasted)
  const { own: _own, ...common } = await readCommon(words, io, isWhole)
  return {
    command: 'get',
    idOrUrl: linkIn(pasted, common.server, io.cwd),
    output: path,
    force: isOn(words, 'force'),
    fresh: isOn(words, 'fresh'),
    noUnpack: isOn(words, 'noUnpack'),
    identity: texts(words, 'identity'),
    password: isOn(words, 'password'),
    wait: duration(words, 'wait'),
    ...output(words),
    ...common,
  }
}

/** The operand names the server as --server does. */
async function doctorCommand(words: Words, io: Outside): Promise<Command> {
  const { operands, options } = words
  const [server, ...others] = operands
  if (others.length > 0)
    throw new EssError(
      'usage',
      `ess doctor examines one server, and you named ${operands.length}. Run it once for each.`,
    )
  const { own: _own, ...common } = await readCommon(
    { ...words, options: server === undefined ? options : { ...options, server } },
    io,
  )
  return {
    command: 'doctor',
    long: isOn(words, 'long'),
    json: isOn(words, 'json'),
    ...output(words),
    ...common,
  }
}

function output(words: Words) {
  return {
    tokenFile: text(words, 'tokenFile'),
    quiet: isOn(words, 'quiet'),
    noProgress: isOn(words, 'noProgress'),
  }
}

/** With `own`, the whole configuration. `isNamed` is true if the operand names its own server. */
async function readCommon(
  words: Words,
  { env }: Outside,
  isNamed = false,
): Promise<Common & { readonly own: Config }> {
  const { config: configured, trouble } = await readConfig(env)
  const named = [
    { from: '--server', server: text(words, 'server') },
    { from: OPTIONS.server.variable, server: env[OPTIONS.server.variable] || undefined },
  ].find(({ server }) => server !== undefined)
  if (trouble !== undefined && named === undefined && !isNamed) throw trouble
  const ownServer = serverUrl(configured.server ?? HOME_SERVER, 'The server in config.json')
  const server = named === undefined ? ownServer : serverUrl(named.server ?? '', named.from)
  // The configured token belongs to the configured server and goes to no other.
  const isItsOwn = new URL(server).origin === new URL(ownServer).origin
  return { server, configured: isItsOwn ? configured : {}, configTrouble: trouble, own: configured }
}

function duration(
  words: Words,
  name: OptionsWith<{ kind: 'duration' | 'duration or 0' }>,
): number | undefined {
  const typed = text(words, name)
  if (typed === undefined) return undefined
  const seconds = parseDuration(typed)
  const isInRange = OPTIONS[name].kind === 'duration or 0' || seconds !== 0
  if (seconds !== undefined && isInRange) return seconds
  const what = isInRange ? `can't be ${JSON.stringify(typed)}` : 'must be more than 0'
  const flag = `--${flagOf(name)}`
  throw new EssError(
    'usage',
    `${flag} ${what}. Write seconds or add units: ${flag} 90, ${flag} 10m, ${flag} 1h30m.`,
  )
}

function text({ options }: Words, name: OptionName): string | undefined {
  const typed = options[name]
  return typeof typed === 'string' ? inUtf8(typed, name) : undefined
}

/** Every value of an option that may be given several times. */
function texts({ options }: Words, name: OptionsWith<{ kind: 'texts' }>): readonly string[] {
  const typed = options[name]
  if (!Array.isArray(typed)) return []
  const flag = `--${flagOf(name)}`
  if (typed.includes(''))
    throw new EssError('usage', `The value of ${flag} is empty. Write ${flag} ${OPTIONS[name].value}.`)
  return typed.map((one) => inUtf8(one, name))
}

function inUtf8(typed: string, name: OptionName): string {
  if (bytesOf(typed) === undefined) return typed
  const advice =
    name === 'output' ? 'Write to standard output instead: ess get LINK > FILE' : 'Use another name.'
  throw new EssError(
    'usage',
    `The value of --${flagOf(name)} is not UTF-8: ${JSON.stringify(typed)}. ${advice}`,
  )
}

function isOn({ options }: Words, name: OptionsWith<{ kind: 'switch' }>): boolean {
  return options[name] === true
}
