import type { Clients } from '../locator/clients.js'
import type { ClientLimitOptions, MachineLimits, ShareName } from './client-limits.js'
import { WINDOW_SECONDS } from './misses.js'
import type { Elsewhere } from './shares.js'

/** In this order, nodes tell each other what a client holds. It is part of what is in Redis. */
const KINDS = ['sockets', 'reservations', 'waiting'] as const satisfies readonly ShareName[]

/** How much of each kind, in the order of `KINDS`. */
type Counts = readonly [sockets: number, reservations: number, waiting: number]

const NONE: Counts = [0, 0, 0]

/** How often we ask whether a client that has all it may have still does: news may be lost. */
const REFRESH_MS = 30_000

/**
 * Counts what clients hold and miss together with the other nodes of a cluster. A node takes without asking, tells the
 * cluster, and learns the sum by that. It hears from others of a client that has all it may have. So a limit costs
 * nothing on the path of a transfer, and a client that asks several nodes within a millisecond may get some more than
 * its share. While the cluster can't be told, each node counts for itself.
 */
export class ClusterLimits implements MachineLimits {
  readonly #clients: Clients
  readonly #most: Counts
  readonly #mostMisses: number
  readonly #shutOut: (client: string, forMs: number) => void
  /** What clients hold here. */
  readonly #held = new Map<string, Counts>()
  /** How this has changed since the cluster was told. */
  readonly #untold = new Map<string, Counts>()
  /** For each kind, the clients that have all they may have, over all nodes. */
  readonly #full: readonly Set<string>[] = KINDS.map(() => new Set())
  readonly #refresh: NodeJS.Timeout

  /** `shutOut` is told of a client that may look nothing up for so long. */
  constructor(
    clients: Clients,
    options: Omit<ClientLimitOptions, 'trust'>,
    shutOut: (client: string, forMs: number) => void,
  ) {
    this.#clients = clients
    const { maxSocketsPerClient, maxReservationsPerClient, maxWaitingPerClient } = options
    this.#most = [maxSocketsPerClient, maxReservationsPerClient, maxWaitingPerClient]
    this.#mostMisses = options.maxMissesPerClient
    this.#shutOut = shutOut
    clients.onAnnounced((news) => this.#hear(news))
    this.#refresh = setInterval(() => this.#askAgain(), REFRESH_MS)
  }

  elsewhere(what: ShareName): Elsewhere {
    const kind = KINDS.indexOf(what)
    return {
      isFull: (client) => this.#full[kind]?.has(client) === true,
      changed: (client, by) => this.#change(client, kind, by),
    }
  }

  missed(client: string): void {
    if (this.#mostMisses > 0) void this.#miss(client)
  }

  close(): void {
    clearInterval(this.#refresh)
  }

  #change(client: string, kind: number, by: number): void {
    const held = plus(this.#held.get(client) ?? NONE, kind, by)
    if (held.some((count) => count > 0)) this.#held.set(client, held)
    else this.#held.delete(client)
    // A reservation takes two shares, and is told as one.
    if (this.#untold.size === 0) queueMicrotask(() => this.#tellAll())
    this.#untold.set(client, plus(this.#untold.get(client) ?? NONE, kind, by))
  }

  #tellAll(): void {
    for (const [client, by] of this.#untold) void this.#tell(client, by)
    this.#untold.clear()
  }

  /** Learns by telling. Never rejects. */
  async #tell(client: string, by: Counts = NONE): Promise<void> {
    const held = this.#held.get(client) ?? NONE
    const others = await this.#clients.hold(client, held)
    for (const [kind, most] of this.#most.entries()) {
      if (most === 0) continue
      const sum = (held[kind] ?? 0) + (others?.[kind] ?? 0)
      // Without the others, a node counts for itself, and does so anyway.
      const isFull = others !== undefined && sum >= most
      const wasFull = sum - (by[kind] ?? 0) >= most
      const isNews = isFull !== wasFull || isFull !== this.#full[kind]?.has(client)
      this.#mark(kind, client, isFull)
      if (others !== undefined && isNews)
        this.#clients.announce(JSON.stringify([isFull ? 'full' : 'free', client, kind]))
    }
  }

  async #miss(client: string): Promise<void> {
    const misses = await this.#clients.miss(client, WINDOW_SECONDS)
    if (misses === undefined || misses.count < this.#mostMisses || misses.leftMs <= 0) return
    this.#shutOut(client, misses.leftMs)
    this.#clients.announce(JSON.stringify(['out', client, misses.leftMs]))
  }

  /** Another node says so. What we don't know is from a later version. */
  #hear(news: string): void {
    const [verb, client, number] = JSON.parse(news) as readonly unknown[]
    if (typeof client !== 'string' || typeof number !== 'number') return
    if (verb === 'out' && this.#mostMisses > 0) this.#shutOut(client, number)
    if (verb === 'full' || verb === 'free') this.#mark(number, client, verb === 'full')
  }

  #mark(kind: number, client: string, isFull: boolean): void {
    if (isFull) this.#full[kind]?.add(client)
    else this.#full[kind]?.delete(client)
  }

  #askAgain(): void {
    for (const client of new Set(this.#full.flatMap((clients) => [...clients]))) void this.#tell(client)
  }
}

function plus(counts: Counts, kind: number, by: number): Counts {
  const [sockets, reservations, waiting] = counts.map((count, at) => (at === kind ? count + by : count))
  return [sockets ?? 0, reservations ?? 0, waiting ?? 0]
}
