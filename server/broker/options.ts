import type { IncomingMessage } from 'node:http'
import { EssError, isSocketId, type StatusEvent } from '../../shared/index.js'
import { checkOptionNames } from '../../shared/option-names.js'
import { type Cors, compileCors } from '../answer/cors.js'
import { randomId } from '../node/random-id.js'
import { RELAY_MODES, type RelayMode } from '../relay/relay.js'
import { compileTrust, type Trust } from '../request/public-url.js'
import type { SocketInfo } from './events.js'
import { nearestName } from './nearest-name.js'

/** Every option of the broker. All are optional; the defaults suit a server of your own behind nothing. */
export interface ServiceOptions {
  /**
   * Seconds a sender waits for a receiver, 600 by default; a sender may ask for less, never for more.
   * Too short, and people cannot walk to the other machine; too long, and forgotten senders fill `maxSockets`.
   */
  readonly ttl?: number
  /** Bytes of one upload, 2^30 (1 GiB) by default, 0 for no limit. Nothing is stored, so it costs only bandwidth. */
  readonly maxUploadBytes?: number
  /** Sockets at the same time, 10,000 by default; one more is refused with 503 `too-many-sockets`. */
  readonly maxSockets?: number
  /**
   * Sockets of one client at the same time, 32 by default, 0 for no limit; one more is refused with 429
   * `over-share`. A client is an address, or an IPv6 network of 64 bits. Behind a proxy that is not in
   * `trustProxy` everybody has the proxy's address, and all of them together have this many.
   */
  readonly maxSocketsPerClient?: number
  /** Of these, reservations whose sender has not come: 16 by default, 0 for no limit. They cost a client nothing. */
  readonly maxReservationsPerClient?: number
  /**
   * Receivers of one client that wait for their sender, and followers of an upload's events, at the same time: 32
   * by default, 0 for no limit.
   */
  readonly maxWaitingPerClient?: number
  /**
   * Requests of one client within a minute for what is not there, 60 by default, 0 for no limit. After that it is
   * refused with 429 `too-many-requests`, whether what it asks for is there or not: who guesses learns nothing.
   */
  readonly maxMissesPerClient?: number
  /**
   * Seconds a transfer may go without a byte moving, 60 by default, 0 for no limit.
   * With 0, a receiver that stops reading holds its sender for as long as it likes.
   */
  readonly stallTimeout?: number
  /**
   * Seconds between two signs of life to a waiting sender, 30 by default. They keep proxies from closing an
   * idle connection, and are how a sender that vanished is noticed (by the second one after that).
   */
  readonly heartbeat?: number
  /**
   * The URL under which receivers reach this server, such as `https://send.example.org/share`.
   * Without it each sender is told the host it came to itself.
   */
  readonly baseUrl?: string
  /**
   * The proxies whose `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto` are believed: addresses, CIDR
   * ranges, or `loopback`, `linklocal`, `uniquelocal`. None by default, because anybody can send these headers:
   * list only proxies that set all three, since one that passes on what its client wrote lets that be anybody.
   */
  readonly trustProxy?: readonly string[]
  /** Seconds for which an id that has ended is answered with 410 `gone` rather than 404, 600 by default. */
  readonly tombstoneTtl?: number
  /**
   * The ids of sockets: what they look like (the whole id has to match), and how one is made. By default 12
   * characters of base64url, 72 random bits. Whoever can guess an id has the file.
   */
  readonly ids?: { readonly pattern: RegExp; readonly generate: () => string }
  /**
   * True lets a sender reserve an id first (`POST /reserve`) and upload later. False by default, because an id
   * that is reserved and never used holds one of `maxSockets` until its TTL is over.
   */
  readonly reservations?: boolean
  /**
   * The URL of the page that may reserve: the Referer has to be it, or lie under it. Null, the default, asks for
   * none. It keeps other sites' pages away, not people: anybody can send any Referer.
   */
  readonly requiredReferer?: string | null
  /**
   * False for a server behind nginx, or whatever else cannot pass a response that begins before its request has
   * ended: an upload without a reservation is then refused with instructions. True by default.
   */
  readonly earlyResponse?: boolean
  /**
   * True says that the proxies in front pass both ways at the same time, as haproxy does. False by default: a
   * chunked upload without `Expect: 100-continue` through a proxy is then refused with 411, because Go's proxies
   * would lose part of it in silence.
   */
  readonly proxyFullDuplex?: boolean
  /**
   * True says that a proxy in front ends a response that broke off as if it were whole, as Caddy 2.6 does. False
   * by default. Then nobody is given what they could not tell from a cut one: a download of unknown length only
   * receivers that say `TE: trailers`, as `ess get` does (406 `length-unknown` for the others, and the socket
   * waits on); an early response only senders that read its events, as `ess send` does (409
   * `reservation-required` for the others). Needs `reservations`.
   */
  readonly proxyHidesCuts?: boolean
  /**
   * How bytes are moved: `auto`, the default, takes for each transfer the least costly way that works here;
   * `streams`, `sockets` and `splice` go no further than that one. See docs/relay.md.
   */
  readonly relay?: 'auto' | 'streams' | 'sockets' | 'splice'
  /**
   * Says whether this request may send (a socket, a reservation) or receive (a link, its page): true lets it, and
   * whatever else is answered with 401 `unauthorized`, before a byte of a body. Undefined, the default, lets
   * everybody. It is asked once a request and must not wait: what takes longer belongs before the service, and
   * leaves its verdict on the request. Upload resources are not asked for: their token came from who may send.
   */
  readonly authorize?: (access: 'send' | 'receive', request: IncomingMessage) => boolean
  /**
   * The origins whose pages may use the data routes, such as `https://app.example.org`; `['*']`, the default, lets
   * every page. It keeps other sites' pages away, not people. With a list, forms of other sites that would send or
   * receive are refused with 403 `cross-site`, too.
   */
  readonly corsOrigins?: readonly string[]
  /**
   * The text of an event in the sender's status stream, for those who speak another language to their users.
   * Undefined leaves that event to the built-in words. The URL stays in line one, and `# ` before all others.
   */
  readonly renderStatus?: (event: StatusEvent, socket: SocketInfo) => string | undefined
  /**
   * The answer to a request that is refused; undefined leaves it to the built-in problem. It is not asked for
   * those who accept `application/problem+json`: programs, such as `ess`, that go by the problem's code.
   */
  readonly onError?: (error: EssError, request: IncomingMessage) => ErrorAnswer | undefined
}

/** What a request wants to do: open or reserve a socket, or have what is in one. */
export type Access = 'send' | 'receive'

/** An embedder's own answer to a refused request. */
export interface ErrorAnswer {
  /** The error's own by default. A status that looks like success makes a refusal look like one. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

/** The options with every default in place, durations in milliseconds. */
export interface ResolvedOptions {
  readonly ttlMs: number
  readonly maxUploadBytes: number
  readonly maxSockets: number
  readonly maxSocketsPerClient: number
  readonly maxReservationsPerClient: number
  readonly maxWaitingPerClient: number
  readonly maxMissesPerClient: number
  readonly stallTimeoutMs: number
  readonly heartbeatMs: number
  readonly baseUrl: string | undefined
  readonly trust: Trust
  readonly tombstoneTtlMs: number
  readonly ids: { readonly matches: (id: string) => boolean; readonly generate: () => string }
  readonly reservations: boolean
  readonly requiredReferer: URL | undefined
  readonly earlyResponse: boolean
  readonly proxyFullDuplex: boolean
  readonly proxyHidesCuts: boolean
  readonly relay: RelayMode
  readonly authorize: ((access: Access, request: IncomingMessage) => boolean) | undefined
  readonly cors: Cors
  readonly renderStatus: ServiceOptions['renderStatus']
  readonly onError: ServiceOptions['onError']
}

/** The defaults, in the units of `ServiceOptions`. */
export const DEFAULTS = {
  ttl: 600,
  maxUploadBytes: 2 ** 30,
  maxSockets: 10_000,
  maxSocketsPerClient: 32,
  maxReservationsPerClient: 16,
  maxWaitingPerClient: 32,
  maxMissesPerClient: 60,
  stallTimeout: 60,
  heartbeat: 30,
  tombstoneTtl: 600,
  reservations: false,
  earlyResponse: true,
  proxyFullDuplex: false,
  proxyHidesCuts: false,
  relay: 'auto',
  corsOrigins: ['*'],
} as const

/** Every option, for callers without types: a misspelt one is refused. */
const OPTIONS = {
  ttl: true,
  maxUploadBytes: true,
  maxSockets: true,
  maxSocketsPerClient: true,
  maxReservationsPerClient: true,
  maxWaitingPerClient: true,
  maxMissesPerClient: true,
  stallTimeout: true,
  heartbeat: true,
  baseUrl: true,
  trustProxy: true,
  tombstoneTtl: true,
  ids: true,
  reservations: true,
  requiredReferer: true,
  earlyResponse: true,
  proxyFullDuplex: true,
  proxyHidesCuts: true,
  relay: true,
  authorize: true,
  corsOrigins: true,
  renderStatus: true,
  onError: true,
} as const satisfies Record<keyof ServiceOptions, true>

/** The longest timer Node keeps: 2^31 - 1 ms, 24 days. */
export const MAX_SECONDS = (2 ** 31 - 1) / 1000

/** Checks the options and fills in the defaults. Throws EssError `usage` that says what was expected and what came. */
export function resolveOptions(options: ServiceOptions): ResolvedOptions {
  checkOptionNames('createService', options, OPTIONS, nearestName)
  const { baseUrl, trustProxy = [], requiredReferer, ids, renderStatus, onError } = options
  return {
    ttlMs: 1000 * seconds('ttl', options.ttl ?? DEFAULTS.ttl, 'positive'),
    maxUploadBytes: wholeNumber(
      'maxUploadBytes',
      options.maxUploadBytes ?? DEFAULTS.maxUploadBytes,
      0,
      'bytes',
    ),
    maxSockets: wholeNumber('maxSockets', options.maxSockets ?? DEFAULTS.maxSockets, 1, 'sockets'),
    ...clientLimits(options),
    stallTimeoutMs: 1000 * seconds('stallTimeout', options.stallTimeout ?? DEFAULTS.stallTimeout, 'zero too'),
    heartbeatMs: 1000 * seconds('heartbeat', options.heartbeat ?? DEFAULTS.heartbeat, 'positive'),
    baseUrl: baseUrl === undefined ? undefined : httpUrl('baseUrl', baseUrl),
    trust: compileTrust(listOf('trustProxy', trustProxy)),
    tombstoneTtlMs: 1000 * seconds('tombstoneTtl', options.tombstoneTtl ?? DEFAULTS.tombstoneTtl, 'zero too'),
    ids: resolveIds(ids),
    reservations: flag('reservations', options),
    requiredReferer:
      requiredReferer === undefined || requiredReferer === null
        ? undefined
        : new URL(httpUrl('requiredReferer', requiredReferer)),
    ...howSendersAreAnswered(options),
    proxyFullDuplex: flag('proxyFullDuplex', options),
    relay: relayMode(options.relay ?? DEFAULTS.relay),
    authorize: ownCode('authorize', options.authorize),
    cors: compileCors(
      listOf('corsOrigins', options.corsOrigins ?? DEFAULTS.corsOrigins),
      options.authorize !== undefined,
    ),
    renderStatus: ownCode('renderStatus', renderStatus),
    onError: ownCode('onError', onError),
  }
}

/** The shares of one client; 0 is no limit. */
const CLIENT_LIMITS = {
  maxSocketsPerClient: 'sockets',
  maxReservationsPerClient: 'reservations',
  maxWaitingPerClient: 'receivers',
  maxMissesPerClient: 'requests',
} as const

function clientLimits(options: ServiceOptions): Pick<ResolvedOptions, keyof typeof CLIENT_LIMITS> {
  const limit = (name: keyof typeof CLIENT_LIMITS) =>
    wholeNumber(name, options[name] ?? DEFAULTS[name], 0, CLIENT_LIMITS[name])
  return {
    maxSocketsPerClient: limit('maxSocketsPerClient'),
    maxReservationsPerClient: limit('maxReservationsPerClient'),
    maxWaitingPerClient: limit('maxWaitingPerClient'),
    maxMissesPerClient: limit('maxMissesPerClient'),
  }
}

function relayMode(mode: RelayMode): RelayMode {
  if (RELAY_MODES.includes(mode)) return mode
  throw unexpected('relay', `one of ${RELAY_MODES.join(', ')}`, mode)
}

/** Whoever cannot have an early response must be able to reserve. */
function howSendersAreAnswered(
  options: ServiceOptions,
): Pick<ResolvedOptions, 'earlyResponse' | 'proxyHidesCuts'> {
  const earlyResponse = flag('earlyResponse', options)
  const proxyHidesCuts = flag('proxyHidesCuts', options)
  const reservations = flag('reservations', options)
  if (!earlyResponse && !reservations)
    throw unexpected('reservations', 'true where "earlyResponse" is false', false)
  if (proxyHidesCuts && !reservations)
    throw unexpected('reservations', 'true where "proxyHidesCuts" is true', false)
  return { earlyResponse, proxyHidesCuts }
}

function resolveIds(ids: ServiceOptions['ids']): ResolvedOptions['ids'] {
  if (ids === undefined) return { matches: isSocketId, generate: randomId }
  if (typeof ids !== 'object' || ids === null) throw unexpected('ids', 'a pattern and a generator', ids)
  const { pattern, generate } = ids
  if (!(pattern instanceof RegExp)) throw unexpected('ids.pattern', 'a regular expression', pattern)
  if (typeof generate !== 'function') throw unexpected('ids.generate', 'a function', generate)
  // The whole id, whether or not the pattern is anchored, and whatever its flags remember.
  const whole = new RegExp(`^(?:${pattern.source})$`, pattern.flags.replace(/[gy]/g, ''))
  return { matches: (id) => whole.test(id), generate }
}

/** Throws EssError `usage` where `value` is no number of seconds that a timer can keep. */
export function seconds(name: string, value: number, range: 'positive' | 'zero too'): number {
  const isNumber = typeof value === 'number' && !Number.isNaN(value)
  if (!isNumber || (range === 'positive' ? value <= 0 : value < 0)) {
    const kind = range === 'positive' ? 'a positive number' : 'zero or a positive number'
    throw unexpected(name, `${kind} of seconds`, value)
  }
  if (value > MAX_SECONDS) throw unexpected(name, `at most ${Math.floor(MAX_SECONDS)} seconds`, value)
  return value
}

/** What a caller without types might give is not taken for a yes or a no. */
function flag(
  name: 'reservations' | 'earlyResponse' | 'proxyFullDuplex' | 'proxyHidesCuts',
  options: ServiceOptions,
): boolean {
  const value = options[name] ?? DEFAULTS[name]
  if (typeof value === 'boolean') return value
  throw unexpected(name, 'true or false', value)
}

function listOf<T>(name: string, value: readonly T[]): readonly T[] {
  if (Array.isArray(value)) return value
  throw unexpected(name, 'a list', value)
}

function ownCode<T>(name: string, value: T): T {
  if (value === undefined || typeof value === 'function') return value
  throw unexpected(name, 'a function', value)
}

/** Throws EssError `usage` where `value` is no whole number or below `least`. */
export function wholeNumber(name: string, value: number, least: number, unit: string): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw unexpected(name, `a whole number of ${unit}, at least ${least}`, value)
}

function httpUrl(name: string, value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const isPlain = url !== undefined && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === ''
  if (isPlain && url.username === '' && url.password === '') return url.href.replace(/\/+$/, '')
  throw unexpected(name, 'an http or https URL without credentials, query or fragment', value)
}

function unexpected(name: string, expected: string, got: unknown): EssError {
  const shown = typeof got === 'string' ? JSON.stringify(got) : String(got)
  return new EssError('usage', `Expected "${name}" to be ${expected}, got ${shown}`)
}
