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
    group: 'Operating',
    value: 'FILE',
    default: undefined,
    otherwise: 'none',
    isInFile: false,
    words: 'JSON or YAML file that sets these options by name; flags and environment variables override it',
  },
  check: {
    by: 'command',
    kind: 'switch',
    group: 'Operating',
    default: false,
    isInFile: false,
    words: 'Check options, files and ports, then exit',
  },
  host: {
    by: 'command',
    kind: 'text',
    group: 'Listening',
    value: 'ADDRESS',
    default: '127.0.0.1',
    words:
      'Address to listen on. One that other machines reach, such as 0.0.0.0 or ::, needs --send-tokens or --open',
  },
  port: {
    by: 'command',
    kind: 'whole',
    group: 'Listening',
    default: 9000,
    most: 65_535,
    words: 'Port to listen on; 0 takes a free one',
  },
  ttl: {
    by: 'both',
    kind: 'seconds',
    group: 'Transfers',
    default: 600,
    words: 'How long a link waits for its receiver',
  },
  maxUploadBytes: {
    by: 'both',
    kind: 'size',
    group: 'Limits',
    default: 2 ** 30,
    // The library keeps its limit: a program that embeds it shares its machine.
    commandDefault: 0,
    words: 'Largest file; 0 for no limit',
  },
  maxSockets: {
    by: 'both',
    kind: 'whole',
    group: 'Limits',
    default: 10_000,
    least: 1,
    unit: 'sockets',
    words: 'Maximum transfers at a time, waiting and running',
  },
  maxSocketsPerClient: {
    by: 'both',
    kind: 'whole',
    group: 'Limits',
    default: 32,
    unit: 'sockets',
    words:
      'Maximum of these per client (one IPv4 address or one IPv6 /64); 0 for no limit. All clients behind a proxy count as one, unless --trust-proxy names it',
  },
  maxReservationsPerClient: {
    by: 'both',
    kind: 'whole',
    group: 'Limits',
    default: 16,
    unit: 'reservations',
    words: 'Maximum reservations per client whose sender has not started; 0 for no limit',
  },
  maxWaitingPerClient: {
    by: 'both',
    kind: 'whole',
    group: 'Limits',
    default: 32,
    unit: 'receivers',
    words: "Maximum requests per client that wait for a sender or follow an upload's events; 0 for no limit",
  },
  maxMissesPerClient: {
    by: 'both',
    kind: 'whole',
    group: 'Limits',
    default: 60,
    unit: 'requests',
    words: '404s per client per minute; 0 for no limit',
  },
  maxConnectionsPerClient: {
    by: 'command',
    kind: 'whole',
    group: 'Limits',
    default: MAX_CONNECTIONS_PER_CLIENT,
    unit: 'connections',
    words:
      "Maximum connections per client; 0 for no limit. Connections from a proxy in --trust-proxy don't count",
  },
  stallTimeout: {
    by: 'both',
    kind: 'seconds',
    group: 'Limits',
    default: 60,
    least: 0,
    words: 'How long a transfer may go without a byte moving; 0 for no limit',
  },
  resumeWithin: {
    by: 'both',
    kind: 'seconds',
    group: 'Transfers',
    default: 120,
    least: 0,
    words: 'How long a side that lost its connection has to come back and go on; 0 for not at all',
  },
  heartbeat: {
    by: 'both',
    kind: 'seconds',
    group: 'Transfers',
    default: 30,
    words: 'How often a waiting sender gets a sign of life',
  },
  baseUrl: {
    by: 'both',
    kind: 'url',
    group: 'Behind a proxy',
    default: undefined,
    otherwise: 'the host the sender used',
    words: 'URL under which receivers reach this server; links begin with it',
  },
  trustProxy: {
    by: 'both',
    kind: 'list',
    group: 'Behind a proxy',
    default: undefined,
    otherwise: 'none',
    words:
      'Proxies whose X-Forwarded-For, -Host and -Proto are believed: addresses, CIDRs, loopback or uniquelocal, with commas',
  },
  tombstoneTtl: { by: 'library', kind: 'seconds', default: 600, least: 0 },
  ids: { by: 'library', kind: 'ids', default: undefined, otherwise: '72 random bits' },
  reservations: {
    by: 'both',
    kind: 'switch',
    group: 'Behind a proxy',
    default: false,
    words:
      "Let senders reserve a link first (POST /reserve), for clients that can't read a response while uploading",
  },
  serveClient: {
    by: 'both',
    kind: 'switch',
    group: 'Operating',
    default: false,
    commandDefault: true,
    words: 'Serve the client at /ess.tgz, for npx and npm i -g; it asks for no token',
  },
  web: {
    by: 'both',
    kind: 'switch',
    group: 'Operating',
    default: false,
    commandDefault: true,
    words: 'Show browsers a page that sends and receives; false leaves them the text that curl gets',
  },
  requiredReferer: {
    by: 'both',
    kind: 'url',
    group: 'Who may use it',
    default: null,
    otherwise: 'none',
    words: 'URL of the page that may reserve links; the Referer must be it or lie under it',
  },
  sendTokens: {
    by: 'command',
    kind: 'text',
    group: 'Who may use it',
    value: 'FILE',
    default: undefined,
    otherwise: 'anyone may',
    words:
      'File of the tokens that may send, one per line, plain or as sha256:HEX; read again when it changes',
  },
  receiveTokens: {
    by: 'command',
    kind: 'text',
    group: 'Who may use it',
    value: 'FILE',
    default: undefined,
    otherwise: 'anyone with the link',
    words: 'The same for receiving',
  },
  open: {
    by: 'command',
    kind: 'switch',
    group: 'Who may use it',
    default: false,
    words: 'Let anyone send. Required for a public --host without --send-tokens',
  },
  authorize: { by: 'library', kind: 'function', default: undefined, otherwise: 'none' },
  corsOrigins: {
    by: 'both',
    kind: 'list',
    group: 'Who may use it',
    default: ['*'],
    flag: 'cors-origin',
    words: 'Origins whose web pages may use this server, with commas; * for every page',
  },
  earlyResponse: {
    by: 'both',
    kind: 'switch',
    group: 'Behind a proxy',
    default: true,
    words: 'Answer an upload before it ends. Behind nginx, say false and add --reservations',
  },
  proxyFullDuplex: {
    by: 'both',
    kind: 'switch',
    group: 'Behind a proxy',
    default: false,
    words:
      'The proxies in front pass data both ways at once, so uploads of unknown size need no Expect: 100-continue',
  },
  proxyHidesCuts: {
    by: 'both',
    kind: 'switch',
    group: 'Behind a proxy',
    default: false,
    words:
      "A proxy in front makes a broken download look whole (Caddy 2.6): refuse receivers that couldn't tell. Needs --reservations",
  },
  relay: {
    by: 'both',
    kind: 'relay',
    group: 'Transfers',
    default: 'auto',
    words: 'How bytes are moved, at most by this gear; auto takes the cheapest that works',
  },
  renderStatus: { by: 'library', kind: 'function', default: undefined, otherwise: 'none' },
  onError: { by: 'library', kind: 'function', default: undefined, otherwise: 'none' },
  tlsCert: {
    by: 'command',
    kind: 'text',
    group: 'TLS',
    value: 'FILE',
    default: undefined,
    words: 'PEM file of the certificate and its chain; turns on HTTPS. Read again when it changes',
  },
  tlsKey: {
    by: 'command',
    kind: 'text',
    group: 'TLS',
    value: 'FILE',
    default: undefined,
    words: "PEM file of the certificate's key",
  },
  tlsMin: {
    by: 'command',
    kind: 'TLS version',
    group: 'TLS',
    default: '1.2',
    words: 'Oldest version of TLS to accept',
  },
  hstsMaxAge: {
    by: 'command',
    kind: 'whole',
    group: 'TLS',
    value: 'SECONDS',
    // 30 days: it holds between two visits a month, and returning to plain HTTP takes no longer.
    default: 30 * 24 * 60 * 60,
    unit: 'seconds',
    words:
      'How long browsers must use HTTPS for this host; only with --tls-cert, for a name, on port 443. 0 makes them forget',
  },
  cluster: {
    by: 'command',
    kind: 'text',
    group: 'Several nodes',
    value: 'URL',
    default: undefined,
    otherwise: 'none',
    words: 'Redis or Valkey by which several servers are one: redis://HOST:PORT, or rediss',
  },
  clusterPasswordFile: {
    by: 'command',
    kind: 'text',
    group: 'Several nodes',
    value: 'FILE',
    default: undefined,
    otherwise: 'none',
    words: "File with the password of the cluster's Redis, if it isn't in the URL",
  },
  clusterListen: {
    by: 'command',
    kind: 'text',
    group: 'Several nodes',
    value: 'HOST:PORT',
    default: undefined,
    otherwise: 'none',
    words:
      "This machine's address for the other nodes alone, such as 10.0.0.1:9100, or 0.0.0.0:9100 for all it has",
  },
  clusterAddress: {
    by: 'command',
    kind: 'text',
    group: 'Several nodes',
    value: 'HOST:PORT',
    default: undefined,
    otherwise: 'that of --cluster-listen',
    words: 'Where the other nodes reach this one, if it has several addresses or another one outside',
  },
  clusterSecretFile: {
    by: 'command',
    kind: 'text',
    group: 'Several nodes',
    value: 'FILE',
    default: undefined,
    otherwise: 'none',
    words: 'File with the secret that all nodes share: at least 32 characters',
  },
  clusterTls: {
    by: 'command',
    kind: 'switch',
    group: 'Several nodes',
    default: false,
    words: 'Encrypt what nodes carry to each other (TLS 1.3, by the secret); give it to all of them',
  },
  drain: {
    by: 'command',
    kind: 'seconds',
    group: 'Operating',
    default: 30,
    least: 0,
    words: 'How long running transfers may take to finish when the server stops',
  },
  workers: {
    by: 'command',
    kind: 'workers',
    group: 'Operating',
    default: 1,
    least: 1,
    // Each takes some 60 MiB, and no machine has more cores to spare for them.
    most: 256,
    unit: 'workers',
    words: 'Processes that share the work, for more than one core; auto starts one per core',
  },
  log: {
    by: 'command',
    kind: 'log format',
    group: 'Operating',
    default: 'text',
    words: 'What to log on stderr; never a whole id',
  },
  admin: {
    by: 'command',
    kind: 'text',
    group: 'Operating',
    value: 'HOST:PORT',
    default: undefined,
    otherwise: 'none',
    words:
      'Address for the operator alone, such as 127.0.0.1:9001: /metrics, /health and /ready, without a password',
  },
} as const satisfies Record<string, OptionRow> & { readonly [Name in keyof ServiceOptions]-?: RowOf<Name> }

export type Options = typeof OPTIONS
