import { MAX_CONNECTIONS_PER_CLIENT } from '../limits/connection-limit.js'
import type { OptionRow } from './option-kinds.js'
import type { ServiceOptions } from './service-options.js'

/** A row whose default is a value of the option that `ServiceOptions` describes. */
type RowOf<Name extends keyof ServiceOptions> = OptionRow & {
  readonly by: 'library' | 'both'
  readonly default: ServiceOptions[Name] | null
}

/**
 * Every option of the server, one row each. From a row come: the flag of `ess-server`, its variable, its key in a
 * configuration file, its text in --help and in docs/server.md, the default, the checks, and the types `Flags` and
 * `ResolvedOptions`. docs/embedding.md takes its words from the doc comments of `ServiceOptions`, because an embedder's
 * editor shows those too. `npm run docs:server` writes the rows of both pages.
 */
export const OPTIONS = {
  config: {
    by: 'command',
    kind: 'text',
    default: undefined,
    otherwise: 'none',
    isInFile: false,
    words:
      'File that sets the others, JSON or YAML, by the same names; they and their variables go before it',
  },
  check: {
    by: 'command',
    kind: 'switch',
    default: false,
    isInFile: false,
    words: 'Look at flags, environment, files and ports, say what is wrong with them, and exit',
  },
  host: {
    by: 'command',
    kind: 'text',
    default: '127.0.0.1',
    words:
      'Address to listen on; one that others reach (0.0.0.0, ::, or of any network) needs --send-tokens or --open',
  },
  port: {
    by: 'command',
    kind: 'whole',
    default: 9000,
    most: 65_535,
    words: 'Port to listen on; 0 takes a free one',
  },
  ttl: { by: 'both', kind: 'seconds', default: 600, words: 'Seconds a sender waits for a receiver' },
  maxUploadBytes: {
    by: 'both',
    kind: 'size',
    default: 2 ** 30,
    words: 'Size of the largest upload: bytes, or with a unit such as 10GiB; 0 for no limit',
  },
  maxSockets: {
    by: 'both',
    kind: 'whole',
    default: 10_000,
    least: 1,
    unit: 'sockets',
    words: 'Transfers, waiting and running, at the same time',
  },
  maxSocketsPerClient: {
    by: 'both',
    kind: 'whole',
    default: 32,
    unit: 'sockets',
    words:
      'Of these, of one client: an address, or a /64 of IPv6; 0 for no limit. Behind a proxy that is not in --trust-proxy all are one client',
  },
  maxReservationsPerClient: {
    by: 'both',
    kind: 'whole',
    default: 16,
    unit: 'reservations',
    words: 'Of these, reservations whose sender has not come; 0 for no limit',
  },
  maxWaitingPerClient: {
    by: 'both',
    kind: 'whole',
    default: 32,
    unit: 'receivers',
    words: "Receivers of one client that wait, and followers of an upload's events; 0 for no limit",
  },
  maxMissesPerClient: {
    by: 'both',
    kind: 'whole',
    default: 60,
    unit: 'requests',
    words: 'Requests of one client, within a minute, for what is not there; 0 for no limit',
  },
  maxConnectionsPerClient: {
    by: 'command',
    kind: 'whole',
    default: MAX_CONNECTIONS_PER_CLIENT,
    unit: 'connections',
    words:
      'Connections of one client, whatever it does with them; 0 for no limit. Those of a proxy in --trust-proxy are not counted',
  },
  stallTimeout: {
    by: 'both',
    kind: 'seconds',
    default: 60,
    least: 0,
    words: 'Seconds a transfer may go without a byte moving; 0 for no limit',
  },
  heartbeat: {
    by: 'both',
    kind: 'seconds',
    default: 30,
    words: 'Seconds between two signs of life to a waiting sender',
  },
  baseUrl: {
    by: 'both',
    kind: 'url',
    default: undefined,
    otherwise: 'the host the sender used',
    words: 'URL under which receivers reach this server',
  },
  trustProxy: {
    by: 'both',
    kind: 'list',
    default: undefined,
    otherwise: 'none',
    words: 'Proxies whose X-Forwarded-For, -Host and -Proto are believed: addresses or CIDRs, with commas',
  },
  tombstoneTtl: { by: 'library', kind: 'seconds', default: 600, least: 0 },
  ids: { by: 'library', kind: 'ids', default: undefined, otherwise: '72 random bits' },
  reservations: {
    by: 'both',
    kind: 'switch',
    default: false,
    words: 'Let senders reserve a link first (POST /reserve), for clients that cannot read an early response',
  },
  requiredReferer: {
    by: 'both',
    kind: 'url',
    default: null,
    otherwise: 'none',
    words: 'URL of the page that may reserve; the Referer must be it or lie under it',
  },
  sendTokens: {
    by: 'command',
    kind: 'text',
    default: undefined,
    otherwise: 'anybody may',
    words: 'File of the tokens that may send, one a line, plain or as sha256:HEX; read again when it changes',
  },
  receiveTokens: {
    by: 'command',
    kind: 'text',
    default: undefined,
    otherwise: 'whoever has the link',
    words: 'The same for receiving',
  },
  open: {
    by: 'command',
    kind: 'switch',
    default: false,
    words:
      'Let anybody send who reaches this server: what a --host beyond this machine needs without --send-tokens',
  },
  authorize: { by: 'library', kind: 'function', default: undefined, otherwise: 'none' },
  corsOrigins: {
    by: 'both',
    kind: 'list',
    default: ['*'],
    flag: 'cors-origin',
    words: 'Origins whose pages may use this server, with commas; * for every page',
  },
  earlyResponse: {
    by: 'both',
    kind: 'switch',
    default: true,
    words: 'Answer an upload before its end; false behind nginx, with --reservations',
  },
  proxyFullDuplex: {
    by: 'both',
    kind: 'switch',
    default: false,
    words: 'The proxies in front pass both ways at once: chunked uploads need no Expect: 100-continue',
  },
  proxyHidesCuts: {
    by: 'both',
    kind: 'switch',
    default: false,
    words:
      'A proxy in front ends a broken response as if it were whole (Caddy 2.6): give it to nobody who could not tell; with --reservations',
  },
  relay: {
    by: 'both',
    kind: 'relay',
    default: 'auto',
    words: 'How bytes are moved: at most by this gear; auto takes the least costly that works',
  },
  renderStatus: { by: 'library', kind: 'function', default: undefined, otherwise: 'none' },
  onError: { by: 'library', kind: 'function', default: undefined, otherwise: 'none' },
  tlsCert: {
    by: 'command',
    kind: 'text',
    default: undefined,
    words: 'PEM file of the certificate with its chain: serves HTTPS; read again when it changes',
  },
  tlsKey: { by: 'command', kind: 'text', default: undefined, words: "PEM file of the certificate's key" },
  tlsMin: { by: 'command', kind: 'TLS version', default: '1.2', words: 'The oldest version of TLS' },
  hstsMaxAge: {
    by: 'command',
    kind: 'whole',
    // 30 days: it holds between two visits a month, and returning to plain HTTP takes no longer.
    default: 30 * 24 * 60 * 60,
    unit: 'seconds',
    words:
      'Seconds that browsers are told to use HTTPS alone for this host; only with --tls-cert, for a name, on port 443; 0 makes them forget',
  },
  drain: {
    by: 'command',
    kind: 'seconds',
    default: 30,
    least: 0,
    words: 'Seconds that running transfers have to finish when it stops',
  },
  log: {
    by: 'command',
    kind: 'log format',
    default: 'text',
    words: 'What is logged on stderr; never a whole id',
  },
  admin: {
    by: 'command',
    kind: 'text',
    default: undefined,
    otherwise: 'none',
    words:
      'HOST:PORT for the operator alone, such as 127.0.0.1:9001: /metrics, /health and /ready, without a password',
  },
} as const satisfies Record<string, OptionRow> & { readonly [Name in keyof ServiceOptions]-?: RowOf<Name> }

export type Options = typeof OPTIONS
