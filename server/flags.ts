import type { Writable } from 'node:stream'
import yargs, { type Options } from 'yargs'
import { EssError } from '../shared/index.js'
import type { LogFormat } from './log.js'
import { DEFAULTS } from './options.js'
import { RELAY_MODES, type RelayMode } from './relay.js'
import { TLS_VERSIONS, type TlsVersion } from './tls.js'
import { VERSION } from './version.js'

/** What reading the flags needs of the outside world. */
export interface FlagsIo {
  readonly stdout: Writable
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
}

const FLAGS = {
  host: {
    default: '127.0.0.1',
    describe:
      'Address to listen on. Opening it to the world (0.0.0.0, ::) lets anybody send through this server',
  },
  port: { number: 'whole', default: 9000, describe: 'Port to listen on; 0 takes a free one' },
  ttl: { number: 'seconds', default: DEFAULTS.ttl, describe: 'Seconds a sender waits for a receiver' },
  'max-upload-bytes': {
    default: '1GiB',
    describe: 'Size of the largest upload: bytes, or with a unit such as 10GiB; 0 for no limit',
  },
  'max-sockets': {
    number: 'whole',
    default: DEFAULTS.maxSockets,
    describe: 'Transfers, waiting and running, at the same time',
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
    describe:
      'Proxies whose X-Forwarded-Host and -Proto are believed: addresses or CIDRs, with commas [default: none]',
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
} as const satisfies Record<string, Flag>

/** What the command line and the environment said, checked one by one. */
export interface Flags {
  readonly host: string
  readonly port: number
  readonly ttl: number
  readonly maxUploadBytes: string
  readonly maxSockets: number
  readonly stallTimeout: number
  readonly heartbeat: number
  readonly baseUrl: string | undefined
  readonly trustProxy: string | undefined
  readonly reservations: boolean
  readonly requiredReferer: string | undefined
  readonly earlyResponse: boolean
  readonly proxyFullDuplex: boolean
  readonly proxyHidesCuts: boolean
  readonly relay: RelayMode
  readonly tlsCert: string | undefined
  readonly tlsKey: string | undefined
  readonly tlsMin: TlsVersion
  readonly drain: number
  readonly log: LogFormat
}

/**
 * Reads flags and environment. Undefined when the question (`--help`, `--version`) has been answered already.
 * Throws EssError `usage`.
 */
export async function parseFlags(argv: readonly string[], io: FlagsIo): Promise<Flags | undefined> {
  let answer = ''
  const parser = yargs()
    .scriptName('ess-server')
    .usage('$0 [options]\n\nBrokers transfers between a sender and a receiver over HTTP. Nothing is stored.')
    .options(Object.fromEntries(Object.entries(FLAGS).map(([name, flag]) => [name, yargsOption(name, flag)])))
    .config(environmentFlags(io.env))
    .epilogue(
      'Each option is an environment variable too: --max-upload-bytes is ESS_MAX_UPLOAD_BYTES.\nExit status: 0 stopped politely, 1 could not listen or was stopped by force, 2 usage.',
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
  const flags = await parser.parseAsync([...argv], {}, (_error, _flags, output) => {
    answer = output
  })
  if (answer !== '') {
    io.stdout.write(`${answer}\n`)
    return undefined
  }
  // yargs and the coercions below have looked at every member; `choices` has narrowed `log`.
  return flags as unknown as Flags
}

/** Every value is read as text, so that a message can say what came. */
function yargsOption(name: string, { number, choices, isSwitch, ...flag }: Flag): Options {
  const coerce = (value: unknown) => {
    if (Array.isArray(value))
      throw new EssError('usage', `Expected --${name} once, got it ${value.length} times`)
    if (isSwitch && value !== undefined) return switchValue(name, value)
    if (number === undefined || value === undefined) return value
    const isNumber = (number === 'whole' ? /^\d+$/ : /^\d+(?:\.\d+)?$/).test(String(value))
    if (isNumber) return Number(value)
    const kind = number === 'whole' ? 'a whole number' : 'a number of seconds'
    throw new EssError('usage', `Expected --${name} to be ${kind}, got ${JSON.stringify(value)}`)
  }
  const type = isSwitch ? 'boolean' : 'string'
  return { ...flag, type, requiresArg: !isSwitch, coerce, ...(choices && { choices }) }
}

/** yargs gives a boolean for a flag, and text for an environment variable. */
function switchValue(name: string, value: unknown): boolean {
  if (value === true || value === 'true' || value === '1') return true
  if (value === false || value === 'false' || value === '0') return false
  throw new EssError('usage', `Expected --${name} to be true or false, got ${JSON.stringify(value)}`)
}

/** `ESS_STALL_TIMEOUT=5` as if it were `--stall-timeout 5`; other variables that begin with ESS_ are not ours. */
function environmentFlags(env: FlagsIo['env']): Record<string, string> {
  const entries = Object.keys(FLAGS).map(
    (name) => [name, env[`ESS_${name.toUpperCase().replaceAll('-', '_')}`]] as const,
  )
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => (entry[1] ?? '') !== ''))
}
