import type { IncomingMessage } from 'node:http'
import { formatCount } from '../../shared/index.js'
import { clientOf, isProxied } from '../request/client-address.js'
import type { Trust } from '../request/public-url.js'
import { Misses } from './misses.js'
import { type Elsewhere, Shares } from './shares.js'

/** How much each client may have, in the words of the service's options; 0 for no limit. */
export interface ClientLimitOptions {
  readonly maxSocketsPerClient: number
  readonly maxReservationsPerClient: number
  readonly maxWaitingPerClient: number
  readonly maxMissesPerClient: number
  /** The proxies that are believed about their clients' addresses. */
  readonly trust: Trust
}

/** What a client may hold at the same time, in the words of its refusal. */
const WORDS = {
  sockets: 'transfer',
  reservations: 'open reservation',
  waiting: 'waiting request',
} as const

/** What a client may hold, by name. */
export type ShareName = keyof typeof WORDS

/** The limits of clients where several processes of one machine serve them. */
export interface MachineLimits {
  /** What the other processes know of one kind. */
  elsewhere(what: ShareName): Elsewhere
  /** Is told of each 404. */
  missed(client: string): void
}

/** Limits each client's sockets, waits and misses, so that no client uses up the whole server. */
export class ClientLimits {
  readonly #trust: Trust
  readonly #shares: Readonly<Record<ShareName, Shares>>
  readonly #misses: Misses
  #machine: MachineLimits | undefined

  constructor(options: ClientLimitOptions) {
    this.#trust = options.trust
    this.#shares = {
      sockets: new Shares(options.maxSocketsPerClient),
      reservations: new Shares(options.maxReservationsPerClient),
      waiting: new Shares(options.maxWaitingPerClient),
    }
    this.#misses = new Misses(options.maxMissesPerClient)
  }

  /** Counts together with the machine's other processes from now on. Call it before the first request. */
  shareWith(machine: MachineLimits): void {
    this.#machine = machine
    // `Object.keys` forgets what the keys are.
    for (const what of Object.keys(WORDS) as ShareName[])
      this.#shares[what].shareWith(machine.elsewhere(what))
  }

  /** Refuses the lookups of a client that has missed too often elsewhere. */
  shutOut(client: string, forMs: number): void {
    this.#misses.shutOut(client, forMs)
  }

  /** How much all clients hold together. Kinds without a limit aren't counted. */
  get held(): number {
    return Object.values(this.#shares).reduce((sum, { taken }) => sum + taken, 0)
  }

  /**
   * Takes one of `what` for the client of `request`, until you call the returned function. Calling it again does
   * nothing. Throws EssError `over-share`.
   */
  take(what: ShareName, request: IncomingMessage): () => void {
    return this.#shares[what].take(
      () => this.#clientOf(request),
      (most) =>
        `You already have ${formatCount(most, WORDS[what])} here, the most for one client. End one of them first.${this.#whoElse(request)}`,
    )
  }

  /** Takes both a socket and, until its sender comes, a reservation, or neither. Throws EssError `over-share`. */
  takeReservation(request: IncomingMessage): {
    readonly giveBackSocket: () => void
    readonly giveBackReservation: () => void
  } {
    const giveBackSocket = this.take('sockets', request)
    try {
      return { giveBackSocket, giveBackReservation: this.take('reservations', request) }
    } catch (error) {
      giveBackSocket()
      throw error
    }
  }

  /**
   * Throws EssError `too-many-requests` while this client may not look anything up. Finding the client of a request
   * costs more than the rest of this, so it is done only while some client is out of misses.
   */
  checkMisses(request: IncomingMessage): void {
    if (!this.#misses.isAnyoneOut) return
    this.#misses.check(
      this.#clientOf(request),
      (most, seconds) =>
        `You asked ${formatCount(most, 'time')} within ${seconds} s for links that do not exist. Check yours for a typo.${this.#whoElse(request)}`,
    )
  }

  /** Counts a 404 for the client of `request`. */
  missed(request: IncomingMessage): void {
    const client = this.#clientOf(request)
    this.#misses.count(client)
    this.#machine?.missed(client)
  }

  #clientOf(request: IncomingMessage): string {
    return clientOf(request, this.#trust)
  }

  /** Explains a shared limit: behind a proxy that isn't trusted, all clients count as one. */
  #whoElse(request: IncomingMessage): string {
    const isUnknownProxy = isProxied(request) && !this.#trust(request.socket.remoteAddress ?? '')
    return isUnknownProxy
      ? ' You come through a proxy that this server does not trust, so everyone who does counts as one client. Its operator can name the proxy in --trust-proxy.'
      : ''
  }
}
