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
   * Bytes, 2^30 (1 GiB) by default. Nothing is stored, so a large upload costs only bandwidth.
   */
  readonly maxUploadBytes?: number
  /**
   * How many sockets there may be at the same time. One more is refused with 503.
   *
   * 10,000 by default. The refusal is `too-many-sockets`.
   */
  readonly maxSockets?: number
  /**
   * How many sockets one client may have: one IPv4 address, or one IPv6 /64. One more is refused with 429; 0 for no
   * limit. **Clients behind a proxy that is not in `trustProxy` count as one client**.
   *
   * 32 by default. The refusal is `over-share`. Such clients have the proxy's address, and share its 32 sockets.
   */
  readonly maxSocketsPerClient?: number
  /**
   * How many of these may be reservations whose sender has not come; 0 for no limit.
   *
   * 16 by default. A reservation costs its client nothing.
   */
  readonly maxReservationsPerClient?: number
  /**
   * How many receivers of one client may wait for their sender, or follow an upload's events; 0 for no limit.
   *
   * 32 by default, counted at the same time.
   */
  readonly maxWaitingPerClient?: number
  /**
   * How many requests of one client within a minute may ask for something that isn't there. After that, its requests for
   * links and uploads are refused until the minute is over; 0 for no limit. Lower it if your own `ids` are short.
   *
   * 60 by default. The refusal is 429 `too-many-requests`, also for an id that exists, so guessing tells nothing.
   */
  readonly maxMissesPerClient?: number
  /**
   * How long a transfer may go without a byte moving; 0 for no limit.
   *
   * Seconds, 60 by default. With 0, a receiver that stops reading can hold its sender forever.
   */
  readonly stallTimeout?: number
  /**
   * The interval between two signs of life to a waiting sender. They also show that a sender has vanished.
   *
   * Seconds, 30 by default. They keep proxies from closing an idle connection. A vanished sender is noticed by the
   * second one after it left.
   */
  readonly heartbeat?: number
  /**
   * The URL under which receivers reach the service, with its path. Without it, links carry the host and the mount that
   * the sender used.
   *
   * For example `https://send.example.org/share`.
   */
  readonly baseUrl?: string
  /**
   * Proxies whose `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto` are believed: addresses, CIDR ranges,
   * `loopback`, `linklocal`, `uniquelocal`.
   *
   * None by default, because any client can send these headers. List only proxies that set all three: a proxy that
   * passes on what its client wrote lets that client be anyone.
   */
  readonly trustProxy?: readonly string[]
  /**
   * How long an id that has ended is answered with 410 rather than 404.
   *
   * Seconds, 600 by default. The answer is `gone`.
   */
  readonly tombstoneTtl?: number
  /**
   * What ids look like, and how one is made. An id that doesn't match, or is taken, is drawn again. Anyone who can guess
   * an id can have the file.
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
   * The URL of the page that may reserve. The `Referer` has to be this URL or lie under it.
   *
   * Null, the default, asks for no `Referer`. It keeps other sites' pages out, but no other program: any client can send
   * any `Referer`.
   */
  readonly requiredReferer?: string | null
  /**
   * Says who may send and who may receive. See docs/embedding.md#who-may-send-and-receive.
   *
   * Called once for each request that opens or reserves a socket (`send`), or asks for a link or its page (`receive`).
   * Only true lets the request in: any other value, or an exception, answers 401 `unauthorized` before a byte of the body
   * is read. Undefined, the default, lets every request in. It must not wait: do slow work in middleware before the
   * service, and leave the result on the request. It is not called for upload resources, because their token came from
   * a sender that was let in.
   */
  readonly authorize?: (access: 'send' | 'receive', request: IncomingMessage) => boolean
  /**
   * The origins whose pages may use the service, such as `https://app.example.org`. With a list, forms of other sites
   * that send or receive are refused with 403 `cross-site`.
   *
   * `['*']`, the default, lets every page. A list keeps other sites' pages out, but no other program.
   */
  readonly corsOrigins?: readonly string[]
  /**
   * False behind nginx: an upload without a reservation is refused with instructions. Needs `reservations`.
   *
   * True by default. Say false behind any proxy that can't pass a response that begins before its request has ended.
   */
  readonly earlyResponse?: boolean
  /**
   * True says that the proxies in front pass both ways at once, as haproxy does. See docs/deploying.md.
   *
   * False by default: a chunked upload without `Expect: 100-continue` through a proxy is refused with 411, because Go's
   * proxies would silently lose part of it.
   */
  readonly proxyFullDuplex?: boolean
  /**
   * True says that a proxy in front ends a broken response as if it were whole, as Caddy 2.6 does. Clients that couldn't
   * tell the difference are then refused: receivers get no download of unknown length, and senders have to reserve.
   * Needs `reservations`. See docs/deploying.md.
   *
   * False by default. Receivers can tell if they send `TE: trailers`, as `ess get` does; the others get 406
   * `length-unknown`, and the socket keeps waiting. Senders can tell if they read the events of the early response, as
   * `ess send` does; the others get 409 `reservation-required`.
   */
  readonly proxyHidesCuts?: boolean
  /**
   * How bytes are moved: by this gear at most. See docs/relay.md.
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
   * Your answer to a person's request that is refused.
   *
   * Undefined leaves the answer to the built-in problem. It is not called for clients that accept
   * `application/problem+json`: programs such as `ess`, which read the problem's code.
   */
  readonly onError?: (error: EssError, request: IncomingMessage) => ErrorAnswer | undefined
}
