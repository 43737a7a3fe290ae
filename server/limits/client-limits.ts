import type { IncomingMessage } from 'node:http'
import { clientOf } from '../request/client-address.js'
import type { Trust } from '../request/public-url.js'
import { isProxied } from '../request/sender.js'
import { Misses } from './misses.js'
import { Shares } from './shares.js'

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
  sockets: 'sockets, waiting or running',
  reservations: 'reservations whose sender has not come',
  waiting: 'receivers or followers that wait',
} as const

/** What one client can hold or ask for, so that nobody takes everybody's place. */
export class ClientLimits {
  readonly #trust: Trust
  readonly #shares: Readonly<Record<keyof typeof WORDS, Shares>>
  readonly #misses: Misses

  constructor(options: ClientLimitOptions) {
    this.#trust = options.trust
    this.#shares = {
      sockets: new Shares(options.maxSocketsPerClient),
      reservations: new Shares(options.maxReservationsPerClient),
      waiting: new Shares(options.maxWaitingPerClient),
    }
    this.#misses = new Misses(options.maxMissesPerClient)
  }

  /** What all clients hold together, of every kind that has a limit. */
  get held(): number {
    return Object.values(this.#shares).reduce((sum, { taken }) => sum + taken, 0)
  }

  /**
   * Takes one of `what` for the client of `request`, until the function it gives is called (again is without
   * effect). Throws EssError `over-share`.
   */
  take(what: keyof typeof WORDS, request: IncomingMessage): () => void {
    return this.#shares[what].take(
      () => this.#clientOf(request),
      (most) => `this client has its share of ${WORDS[what]}: ${most}${this.#whoElse(request)}`,
    )
  }

  /** Takes a socket and, until its sender comes, a reservation: both, or none. Throws EssError `over-share`. */
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
   * Throws EssError `too-many-requests` where this client may look nothing up for now. Mostly no client has to be
   * checked: whose request it is takes longer than all the rest of this.
   */
  checkMisses(request: IncomingMessage): void {
    if (!this.#misses.isAnyoneOut) return
    this.#misses.check(
      this.#clientOf(request),
      (most, seconds) =>
        `this client asked ${most} times within ${seconds} s for what is not there, and is told nothing for a while${this.#whoElse(request)}`,
    )
  }

  /** The client of `request` asked for what is not there. */
  missed(request: IncomingMessage): void {
    this.#misses.count(this.#clientOf(request))
  }

  #clientOf(request: IncomingMessage): string {
    return clientOf(request, this.#trust)
  }

  /** Who is refused for what others did should read why, and the operator too who tries it. */
  #whoElse(request: IncomingMessage): string {
    const isUnknownProxy = isProxied(request) && !this.#trust(request.socket.remoteAddress ?? '')
    return isUnknownProxy
      ? '; it came through a proxy that this server was not told to trust, so all who do count as one client'
      : ''
  }
}
