import yargs, { type Options } from 'yargs'
import { Parser } from 'yargs/helpers'
import { EssError } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { DEFAULTS } from '../broker/options.js'
import { MAX_CONNECTIONS_PER_CLIENT } from '../limits/connection-limit.js'
import { HSTS_MAX_AGE } from '../listen/hsts.js'
import { TLS_VERSIONS, type TlsVersion } from '../listen/tls.js'
import type { LogFormat } from '../ops/log.js'
import type { LineWriter } from '../ops/outlet.js'
import { RELAY_MODES, type RelayMode } from '../relay/relay.js'
import type { ConfigKey } from './config-file.js'

/** What reading the flags needs of the outside world. */
export interface FlagsIo {
  readonly stdout: LineWriter
  readonly env: Readonly<Record<string, string | undefined>>
}

/** A flag takes one value: text as it is, or a number, of which `number` says what kind. */
interface Flag {
  readonly default?: string | number | boolean
  readonly describe: string
  readonly choices?: readonly string[]
  readonly number?: 'seconds' | 'whole'
  /** `--flag` means yes, `--no-flag` and `--flag=false` no; without `default`, no. */
  readonly isSwitch?: true
  /** A configuration file may give a list for the text with commas. */
  readonly isList?: true
  /** A configuration file may give a number for the text with a unit. */
  readonly isSize?: true
  /** It has no place in a configuration file. */
  readonly isNotInFile?: true
}

const FLAGS = {
  config: {
    isNotInFile: true,
    describe:
      'File that sets the others, JSON or YAML, by the same names; they and their variables go before it [default: none]',
  },
  check: {
    isSwitch: true,
    isNotInFile: true,
    default: false,
    describe: 'Look at flags, environment, files and ports, say what is wrong with them, and exit',
  },
  host: {
    default: '127.0.0.1',
    describe:
      'Address to listen on; one that others reach (0.0.0.0, ::, or of any network) needs --send-tokens or --open',
  },
  port: { number: 'whole', default: 9000, describe: 'Port to listen on; 0 takes a free one' },
  ttl: { number: 'seconds', default: DEFAULTS.ttl, describe: 'Seconds a sender waits for a receiver' },
  'max-upload-bytes': {
    isSize: true,
    default: '1GiB',
    describe: 'Size of the largest upload: bytes, or with a unit such as 10GiB; 0 for no limit',
  },
  'max-sockets': {
    number: 'whole',
    default: DEFAULTS.maxSockets,
    describe: 'Transfers, waiting and running, at the same time',
  },
  'max-sockets-per-client': {
    number: 'whole',
    default: DEFAULTS.maxSocketsPerClient,
    describe:
      'Of these, of one client: an address, or a /64 of IPv6; 0 for no limit. Behind a proxy that is not in --trust-proxy all are one client',
  },
  'max-reservations-per-client': {
    number: 'whole',
    default: DEFAULTS.maxReservationsPerClient,
    describe: 'Of these, reservations whose sender has not come; 0 for no limit',
  },
  'max-waiting-per-client': {
    number: 'whole',
    default: DEFAULTS.maxWaitingPerClient,
    describe: "Receivers of one client that wait, and followers of an upload's events; 0 for no limit",
  },
  'max-misses-per-client': {
    number: 'whole',
    default: DEFAULTS.maxMissesPerClient,
    describe: 'Requests of one client, within a minute, for what is not there; 0 for no limit',
  },
  'max-connections-per-client': {
    number: 'whole',
    default: MAX_CONNECTIONS_PER_CLIENT,
    describe:
      'Connections of one client, whatever it does with them; 0 for no limit. Those of a proxy in --trust-proxy are not counted',
  },
  'stall-timeout': {
    number: 'seconds',
    default: DEFAULTS.stallTimeout,
    describe: 'Seconds a transfer may go without a byte moving; 0 for no limit',
  },
  heartbeat: {
    number: 'seconds',
    default: DEFAULTS.heartbeat,
    describe: 'Seconds between two signs of life to a waiting sender',
  },
  'base-url': {
    describe: 'URL under which receivers reach this server [default: the host the sender used]',
  },
  'trust-proxy': {
    isList: true,
    describe:
      'Proxies whose X-Forwarded-For, -Host and -Proto are believed: addresses or CIDRs, with commas [default: none]',
  },
  reservations: {
    isSwitch: true,
    default: false,
    describe:
      'Let senders reserve a link first (POST /reserve), for clients that cannot read an early response',
  },
  'required-referer': {
    describe: 'URL of the page that may reserve; the Referer must be it or lie under it [default: none]',
  },
  'send-tokens': {
    describe:
      'File of the tokens that may send, one a line, plain or as sha256:HEX; read again when it changes [default: anybody may]',
  },
  'receive-tokens': {
    describe: 'The same for receiving [default: whoever has the link]',
  },
  open: {
    isSwitch: true,
    default: false,
    describe:
      'Let anybody send who reaches this server: what a --host beyond this machine needs without --send-tokens',
  },
  'cors-origin': {
    default: DEFAULTS.corsOrigins.join(','),
    describe: 'Origins whose pages may use this server, with commas; * for every page',
  },
  'early-response': {
    isSwitch: true,
    default: true,
    describe: 'Answer an upload before its end; false behind nginx, with --reservations',
  },
  'proxy-full-duplex': {
    isSwitch: true,
    default: false,
    describe: 'The proxies in front pass both ways at once: chunked uploads need no Expect: 100-continue',
  },
  'proxy-hides-cuts': {
    isSwitch: true,
    default: false,
    describe:
      'A proxy in front ends a broken response as if it were whole (Caddy 2.6): give it to nobody who could not tell; with --reservations',
  },
  relay: {
    choices: RELAY_MODES,
    default: DEFAULTS.relay,
    describe: 'How bytes are moved: at most by this gear; auto takes the least costly that works',
  },
  'tls-cert': {
    describe: 'PEM file of the certificate with its chain: serves HTTPS; read again when it changes',
  },
  'tls-key': { describe: "PEM file of the certificate's key" },
  'tls-min': { choices: TLS_VERSIONS, default: '1.2', describe: 'The oldest version of TLS' },
  'hsts-max-age': {
    number: 'whole',
    default: HSTS_MAX_AGE,
    describe:
      'Seconds that browsers are told to use HTTPS alone for this host; only with --tls-cert, for a name, on port 443; 0 makes them forget',
  },
  drain: {
    number: 'seconds',
    default: 30,
    describe: 'Seconds that running transfers have to finish when it stops',
  },
  log: {
    choices: ['text', 'json', 'off'],
    default: 'text',
    describe: 'What is logged on stderr; never a whole id',
  },
  admin: {
    describe:
      'HOST:PORT for the operator alone, such as 127.0.0.1:9001: /metrics, /health and /ready, without a password [default: none]',
  },
} as const satisfies Record<string, Flag>

/** What the command line, the environment and the file of `--config` said, checked one by one. */
export interface Flags {
  readonly config: string | undefined
  readonly check: boolean
  readonly host: string
  readonly port: number
  readonly ttl: number
  readonly maxUploadBytes: string
  readonly maxSockets: number
  readonly maxSocketsPerClient: number
  readonly maxReservationsPerClient: number
  readonly maxWaitingPerClient: number
  readonly maxMissesPerClient: number
  readonly maxConnectionsPerClient: number
  readonly stallTimeout: number
  readonly heartbeat: number
  readonly baseUrl: string | undefined
  readonly trustProxy: string | undefined
  readonly reservations: boolean
  readonly requiredReferer: string | undefined
  readonly sendTokens: string | undefined
  readonly receiveTokens: string | undefined
  readonly open: boolean
  readonly corsOrigin: string
  readonly earlyResponse: boolean
  readonly proxyFullDuplex: boolean
  readonly proxyHidesCuts: boolean
  readonly relay: RelayMode
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  readonly tlsMin: TlsVersion
  readonly hstsMaxAge: number
  readonly drain: number
  readonly log: LogFormat
  readonly admin: string | undefined
}

/**
 * Reads flags, then the environment, then the file; the first to say something has said it. Undefined when the
 * question (`--help`, `--version`) has been answered already. Throws EssError `usage`.
 */
export async function parseFlags(argv: readonly string[], io: FlagsIo): Promise<Flags | undefined> {
  let answer = ''
  const file = await fileFlags(argv, io.env)
  // Without a folder of its own yargs asks for the current one, which may have been removed.
  const parser = yargs([], '/')
    .scriptName('ess-server')
    .usage('$0 [options]\n\nBrokers transfers between a sender and a receiver over HTTP. Nothing is stored.')
    .options(Object.fromEntries(Object.entries(FLAGS).map(([name, flag]) => [name, yargsOption(name, flag)])))
    // Of two such objects yargs takes the first that has the key, and neither where a flag has it.
    .config(environmentFlags(io.env))
    .config(file)
    .epilogue(
      'Each option is an environment variable too: --max-upload-bytes is ESS_MAX_UPLOAD_BYTES.\nExit status: 0 stopped politely, or checked and well; 1 could not listen, or was stopped by force; 2 usage.',
    )
    .version(VERSION)
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      if (error instanceof EssError) throw error
      const line = (message ?? error.message).replace(/\s*\n\s*/g, ' ')
      throw new EssError('usage', `${line}; try: ess-server --help`)
    })
    .wrap(100)
  const flags = await parser.parseAsync(argv.map(plainSwitch), {}, (_error, _flags, output) => {
    answer = output
  })
  if (answer !== '') {
    io.stdout.write(`${answer}\n`)
    return undefined
  }
  // yargs and the coercions below have looked at every member; `choices` has narrowed `log`.
  return flags as unknown as Flags
}

/** Whether this is about `--check`; known even where the rest of the command line is wrong. */
export function asksForCheck(argv: readonly string[], env: FlagsIo['env']): boolean {
  const { check = /^(?:1|true)$/.test(env['ESS_CHECK'] ?? '') } = looseFlags(argv)
  return check === true
}

/** The file has to be read before the rest, because it is one of the places where the rest may stand. */
async function fileFlags(
  argv: readonly string[],
  env: FlagsIo['env'],
): Promise<Record<string, string | boolean>> {
  const { config = env['ESS_CONFIG'] ?? '', help, version } = looseFlags(argv)
  // More than one is complained of later.
  if (typeof config !== 'string' || config === '' || help === true || version === true) return {}
  // A parser of YAML takes 30 ms to load, and few have a file.
  const { readConfigFile } = await import('./config-file.js')
  const keys = Object.entries<Flag>(FLAGS).filter(([, flag]) => !flag.isNotInFile)
  return await readConfigFile(config, Object.fromEntries(keys.map(([name, flag]) => [name, configKey(flag)])))
}

function looseFlags(argv: readonly string[]): Readonly<Record<string, unknown>> {
  const names = Object.keys(FLAGS)
  return Parser([...argv], {
    string: names.filter((name) => !isSwitch(name)),
    boolean: ['help', 'version', ...names.filter(isSwitch)],
  })
}

function configKey({ number, choices, isSwitch, isList, isSize }: Flag): ConfigKey {
  const kind = isSwitch ? 'switch' : isList ? 'list' : isSize ? 'size' : (number ?? 'text')
  return { kind, choices }
}

/** Every value is read as text, so that a message can say what came. */
function yargsOption(
  name: string,
  { default: fallback, describe, number, choices, isSwitch }: Flag,
): Options {
  const coerce = (value: unknown) => {
    if (Array.isArray(value))
      throw new EssError('usage', `Expected --${name} once, got it ${value.length} times`)
    if (value === '') throw new EssError('usage', `Expected --${name} to have a value, got an empty one`)
    if (number === undefined || value === undefined) return value
    const isNumber = (number === 'whole' ? /^\d+$/ : /^\d+(?:\.\d+)?$/).test(String(value))
    if (isNumber) return Number(value)
    const kind = number === 'whole' ? 'a whole number' : 'a number of seconds'
    throw new EssError('usage', `Expected --${name} to be ${kind}, got ${JSON.stringify(value)}`)
  }
  const type = isSwitch ? 'boolean' : 'string'
  const always = { describe, type, requiresArg: !isSwitch, coerce } as const
  return { ...always, ...(fallback !== undefined && { default: fallback }), ...(choices && { choices }) }
}

/** What `--name=value` says of a switch, in the two words that yargs knows: it takes any other for a no. */
function plainSwitch(argument: string): string {
  const [, name = '', value = ''] = /^--([^=]+)=(.*)$/s.exec(argument) ?? []
  return isSwitch(kebab(name)) ? `--${name}=${switchValue(kebab(name), value)}` : argument
}

function isSwitch(name: string): boolean {
  const flags: Readonly<Record<string, Flag>> = FLAGS
  return flags[name]?.isSwitch === true
}

function switchValue(name: string, value: string): boolean {
  if (value === 'true' || value === '1') return true
  if (value === 'false' || value === '0') return false
  throw new EssError('usage', `Expected --${name} to be true or false, got ${JSON.stringify(value)}`)
}

/** `ESS_STALL_TIMEOUT=5` as if it were `--stall-timeout 5`; other variables that begin with ESS_ are not ours. */
function environmentFlags(env: FlagsIo['env']): Record<string, string | boolean> {
  const entries = Object.keys(FLAGS).flatMap((name) => {
    const value = env[`ESS_${name.toUpperCase().replaceAll('-', '_')}`] ?? ''
    return value === '' ? [] : [[name, isSwitch(name) ? switchValue(name, value) : value] as const]
  })
  return Object.fromEntries(entries)
}

/** The name of a flag, from an option's or from what yargs takes for the same. */
function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** What a library's message calls "maxSockets" is --max-sockets here. */
export function inFlagNames(message: string): string {
  return message.replace(/"([a-z]+(?:[A-Z][a-z]+)*)" to /, (_all, name: string) => `--${kebab(name)} to `)
}
