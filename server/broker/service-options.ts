import type { IncomingMessage } from 'node:http'
import type { EssError, StatusEvent } from '../../shared/index.js'
import type { ErrorAnswer } from '../answer/problem-response.js'
import type { SocketInfo } from './events.js'

/**
 * The options of a service. Each is optional, and its default suits a server of your own without a proxy in front.
 * `createService` throws EssError `usage` for an option it doesn't know, and for a value of another type or range.
 */
// `npm run docs:server` writes the first paragraph of each comment below into docs/embedding.md.
export interface ServiceOptions {
  /**
   * How long a sender waits for a receiver. A sender may ask for less, never for more.
   *
   * Seconds, 600 by default. If it is too short, people can't walk to the other machine; if it is too long, forgotten
   * senders fill `maxSockets`.
   */
  readonly ttl?: number
  /**
   * The largest upload; 0 for no limit.
   *
   * Bytes, 2^30 (1 GiB) by default, and 0 for `ess-server`. Nothing is stored, so a large upload costs only bandwidth.
   */
  readonly maxUploadBytes?: number
  /**
   * Maximum number of sockets at the same time. One more is refused with 503.
   *
   * 10,000 by default. The refusal is `too-many-sockets`.
   */
  readonly maxSockets?: number
  /**
   * Maximum number of sockets per client (one IPv4 address or one IPv6 /64); 0 for no limit. One more is refused with
   * 429. **Clients behind a proxy that is not in `trustProxy` count as one client**.
   *
   * 32 by default. The refusal is `over-share`. Such clients have the proxy's address, and share its 32 sockets.
   */
  readonly maxSocketsPerClient?: number
  /**
   * Maximum number of these that are reservations still without a sender; 0 for no limit.
   *
   * 16 by default. A reservation costs its client nothing.
   */
  readonly maxReservationsPerClient?: number
  /**
   * Maximum number of receivers per client that wait for a sender or follow an upload's events; 0 for no limit.
   *
   * 32 by default, counted at the same time.
   */
  readonly maxWaitingPerClient?: number
  /**
   * Maximum number of 404s per client and minute; 0 for no limit. After that, the client's requests for links and uploads
   * are refused until the minute is over. Lower it if your own `ids` are short.
   *
   * 60 by default. The refusal is 429 `too-many-requests`, also for an id that exists, so guessing tells nothing.
   */
  readonly maxMissesPerClient?: number
  /**
   * How long a transfer may go without a byte moving; 0 for no limit.
   *
   * Seconds, 60 by default. With 0, a receiver that stops reading can hold its sender forever. Where the sender can go on
   * after a cut, the silent side counts as cut, and has `resumeWithin` to come back.
   */
  readonly stallTimeout?: number
  /**
   * How long a side that lost its connection has to come back and go on; 0 turns resuming off.
   *
   * Seconds, 120 by default. Only transfers whose sender can send again take part, such as `ess send`; the others end at
   * once. If it is long, the other side waits that long for a peer that is gone for good, and the socket counts among
   * `maxSockets`. If it is short, a laptop that wakes or a phone that changes networks is too late.
   */
  readonly resumeWithin?: number
  /**
   * The time between two heartbeats to a waiting sender. They also show that a sender has vanished.
   *
   * Seconds, 30 by default. They keep proxies from closing an idle connection. A vanished sender is noticed by the
   * second one after it left.
   */
  readonly heartbeat?: number
  /**
   * The URL under which receivers reach the service, with its path. Without it, links have the host and the mount that
   * the sender used.
   *
   * For example `https://send.example.org/share`.
   */
  readonly baseUrl?: string
  /**
   * Proxies whose `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto` the service believes: addresses, CIDR
   * ranges, `loopback`, `linklocal`, `uniquelocal`.
   *
   * None by default, because any client can send these headers. List only proxies that set all three: a proxy that
   * passes on what its client wrote lets that client be anyone.
   */
  readonly trustProxy?: readonly string[]
  /**
   * How long the id of an ended socket gets 410 rather than 404.
   *
   * Seconds, 600 by default. The answer is `gone`.
   */
  readonly tombstoneTtl?: number
  /**
   * Your own ids: their pattern, and a function that makes one. The service asks for another if an id doesn't match or
   * is taken. Anyone who can guess an id can have the file.
   *
   * By default 12 characters of base64url, 72 random bits. `pattern` has to match the whole id, anchored or not.
   */
  readonly ids?: { readonly pattern: RegExp; readonly generate: () => string }
  /**
   * True lets a sender reserve an id with `POST /reserve` and upload later.
   *
   * False by default, because an id that is reserved and never used holds one of `maxSockets` until its TTL is over.
   */
  readonly reservations?: boolean
  /**
   * Serves the package of the client at `/ess.tgz` under the mount, for `npx` and `npm i -g`, without asking
   * `authorize`.
   *
   * False by default, because the address may be your app's. `ess-server` serves it. A bundle of the library has no
   * package to serve, and answers 404.
   */
  readonly serveClient?: boolean
  /**
   * Shows browsers a page that sends, at `/` under the mount, and lets a link's page open what is sealed. Its scripts are
   * under `/web/`. Pages of its own origin may reserve, whatever `reservations` says.
   *
   * False by default, because these addresses may be your app's, and its page shares your origin. Programs get the same
   * as without it. A bundle of the library has no pages to show, and answers as without it.
   */
  readonly web?: boolean
  /**
   * The URL of the page that may reserve. The `Referer` must be this URL or lie under it.
   *
   * Null, the default, asks for no `Referer`. It keeps other sites' pages out, but no other program: any client can send
   * any `Referer`.
   */
  readonly requiredReferer?: string | null
  /**
   * Your function that says who may send and who may receive. See docs/embedding.md#who-may-send-and-receive.
   *
   * Called once for each request that opens or reserves a socket (`send`), or asks for a link or its page (`receive`).
   * Only true lets the request in: any other value, or an exception, answers 401 `unauthorized` before a byte of the body
   * is read. Undefined, the default, lets every request in. It must not wait: do slow work in middleware before the
   * service, and leave the result on the request. It is not called for upload resources, because their token came from
   * a sender that was let in.
   */
  readonly authorize?: (access: 'send' | 'receive', request: IncomingMessage) => boolean
  /**
   * Origins whose pages may use the service, such as `https://app.example.org`. With a list, forms on other sites that
   * send or receive are refused with 403 `cross-site`.
   *
   * `['*']`, the default, lets every page. A list keeps other sites' pages out, but no other program.
   */
  readonly corsOrigins?: readonly string[]
  /**
   * Set false behind nginx: uploads without a reservation are refused with instructions. Needs `reservations`.
   *
   * True by default. Set false behind any proxy that can't pass a response that begins before its request has ended.
   */
  readonly earlyResponse?: boolean
  /**
   * Set true if the proxies in front pass both ways at once, as haproxy does. See docs/deploying.md.
   *
   * False by default: a chunked upload without `Expect: 100-continue` through a proxy is refused with 411, because Go's
   * proxies would silently lose part of it.
   */
  readonly proxyFullDuplex?: boolean
  /**
   * Set true if a proxy in front ends a broken response as if it were whole, as Caddy 2.6 does. Clients that couldn't
   * tell are then refused: receivers get no download of unknown length, and senders must reserve. Needs `reservations`.
   * See docs/deploying.md.
   *
   * False by default. Receivers can tell if they send `TE: trailers`, as `ess get` does, or if the file is sealed, which
   * no program opens without its end; the others get 406 `length-unknown`, and the socket keeps waiting. Senders can tell if they read the events of the early response, as
   * `ess send` does; the others get 409 `reservation-required`.
   */
  readonly proxyHidesCuts?: boolean
  /**
   * The furthest gear that may move bytes. See docs/relay.md.
   *
   * `auto`, the default, takes the cheapest gear that works for each transfer. `streams`, `sockets` and `splice` go no
   * further than their gear.
   */
  readonly relay?: 'auto' | 'streams' | 'sockets' | 'splice'
  /**
   * Your words in the sender's status stream.
   *
   * Called for each event; returns its text, in another language for instance. Undefined leaves that event to the
   * built-in words. The URL stays in line one, and every other line begins with `# `.
   */
  readonly renderStatus?: (event: StatusEvent, socket: SocketInfo) => string | undefined
  /**
   * Your answer to a refused request of a person.
   *
   * Undefined leaves the answer to the built-in problem. It is not called for clients that accept
   * `application/problem+json`: programs such as `ess`, which read the problem's code.
   */
  readonly onError?: (error: EssError, request: IncomingMessage) => ErrorAnswer | undefined
}
