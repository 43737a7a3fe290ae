import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { PROBLEM_MEDIA_TYPE, urlAtServer } from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { basicCredentials } from '../http/credentials.js'
import type { HttpProxy } from '../http/proxy.js'
import { type Asked, ask, type Method } from './ask.js'
import type { Bell } from './bell.js'
import { namedFront, type SeenFront } from './front.js'

/** Looks a name up, as `lookup` of node:dns/promises does. */
export type Lookup = (
  name: string,
  options: { readonly all: true },
) => Promise<readonly { readonly address: string; readonly family: number }[]>

/** How senders can be answered: before their body, or by a reservation. */
export type Way = 'early' | 'reserved'

/** A link that the server gave. */
export interface GivenLink {
  readonly id: string
  readonly url: string
}

/** The server under examination, and what the checks so far have found out about it. */
export class Patient {
  readonly server: URL
  readonly token: string | undefined
  readonly signal: AbortSignal
  readonly lookup: Lookup
  /** How long the check of idle connections waits; undefined leaves it out. */
  readonly longMs: number | undefined
  /** The proxy of this machine's environment. */
  proxy: HttpProxy | undefined
  /** The addresses of its name. */
  addresses: readonly string[] = []
  /** What ALPN chose; undefined without TLS. */
  protocol: TLSSocket['alpnProtocol'] | undefined
  /** The head of its first answer. */
  firstHead: IncomingMessage | undefined
  version: string | undefined
  way: Way = 'early'
  /** A link that was given to us, as it was written. */
  link: GivenLink | undefined
  /** Bytes; 0 for no limit, undefined if the server didn't say. */
  maxUploadBytes: number | undefined
  front: SeenFront = 'none'
  /** How long its first answer took. */
  roundTripMs = 0
  /** The status with which a limit of the proxy's own has refused a request of ours. */
  throttled: number | undefined
  readonly #open = new Set<Asked>()
  readonly #uploads = new Set<string>()

  constructor(
    server: URL,
    options: {
      readonly token: string | undefined
      readonly signal: AbortSignal
      readonly lookup: Lookup
      readonly longMs: number | undefined
    },
  ) {
    this.server = server
    this.token = options.token
    this.signal = options.signal
    this.lookup = options.lookup
    this.longMs = options.longMs
  }

  /** How long the server may take for an answer, or for a byte to come through: three times there and back. */
  get answerMs(): number {
    return ANSWER_MS + 3 * this.roundTripMs
  }

  /** The URL of a path of the server. */
  at(path: string): URL {
    return urlAtServer(this.server, path)
  }

  /** Begins a request. Credentials go to the server alone; `isAnonymous` leaves them out there too. */
  async ask(
    method: Method,
    url: URL,
    headers: Readonly<Record<string, string>> = {},
    { bell, isAnonymous = false }: { readonly bell?: Bell; readonly isAnonymous?: boolean } = {},
  ): Promise<Asked> {
    const asked = await ask(
      method,
      url,
      {
        accept: `*/*, ${PROBLEM_MEDIA_TYPE};q=0.9`,
        ...credentials(url, this.server, isAnonymous ? undefined : this.token),
        ...headers,
      },
      { signal: this.signal, bell },
    )
    this.#open.add(asked)
    // Every answer may be the one that shows what is in front.
    asked.onHead = (head) => this.#see(head)
    return asked
  }

  /** Remembers an upload resource, which is cancelled at the end. */
  remember(upload: string): void {
    this.#uploads.add(upload)
  }

  /** Leaves nothing behind: cancels what waits, and resets what is open. */
  async leave(): Promise<void> {
    const cancelled = [...this.#uploads].map(async (upload) => {
      const asked = await this.ask('DELETE', new URL(upload), { 'content-length': '0' })
      await asked.answer(CANCEL_MS + this.roundTripMs)
    })
    // What can't be cancelled expires by itself, within half a minute.
    await Promise.allSettled(cancelled)
    for (const asked of this.#open) asked.reset()
  }

  #see(head: IncomingMessage): void {
    const { statusCode, headers } = head
    const isOurs = (headers['content-type'] ?? '').startsWith(PROBLEM_MEDIA_TYPE)
    if ((statusCode === 429 || statusCode === 503) && !isOurs) this.throttled ??= statusCode
    const front = namedFront(head)
    if (front !== 'none' && (this.front === 'none' || this.front === undefined)) this.front = front
  }
}

/** How long the server may take on a line without delay. Ours take milliseconds. */
const ANSWER_MS = 2_500
/** How long a cancellation may take. */
const CANCEL_MS = 1_000

/**
 * The credentials for `url`: the token, or the password in the server's URL. None go to another origin. Throws EssError
 * `usage` for a token beside a password, and for a password with a `%` that encodes nothing.
 */
export function credentials(
  url: URL,
  server: string | URL,
  token: string | undefined,
): { readonly authorization?: string } {
  const own = new URL(server)
  if (url.origin !== own.origin) return {}
  const password = basicCredentials(own)
  if (password === undefined) return bearer(url, { server, token })
  bearer(own, { server, token })
  return { authorization: password }
}
