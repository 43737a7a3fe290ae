import type { Clients } from '../locator/clients.js'
import type { ClientLimitOptions, MachineLimits, ShareName } from './client-limits.js'
import { WINDOW_SECONDS } from './misses.js'
import type { Elsewhere } from './shares.js'

/** In this order, nodes tell each other what a client holds. It is part of what is in Redis. */
const KINDS = ['sockets', 'reservations', 'waiting'] as const satisfies readonly ShareName[]

/** How much of each kind, in the order of `KINDS`. */
type Counts = readonly [sockets: number, reservations: number, waiting: number]

const NONE: Counts = [0, 0, 0]

/** How often we ask whether a client that has all it may have still does: the node that it had it at may have died. */
const REFRESH_MS = 30_000

/**
 * Counts what clients hold and miss together with the other nodes of a cluster. A node takes without asking and tells
 * the cluster, which tells all nodes of a client that has all it may have. So a limit costs nothing on the path of a
 * transfer, and a client that asks several nodes within a millisecond may get some more than its share. While the
 * cluster can't be told, each node counts for itself.
 */
export class ClusterLimits implements MachineLimits {
  readonly #clients: Clients
  readonly #isCountingMisses: boolean
  /** What clients hold here. */
  readonly #held = new Map<string, Counts>()
  /** The clients for which this has changed since the cluster was told. */
  readonly #untold = new Set<string>()
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
    const { maxSocketsPerClient, maxReservationsPerClient, maxWaitingPerClient, maxMissesPerClient } = options
    this.#isCountingMisses = maxMissesPerClient > 0
    clients.listen({
      most: [maxSocketsPerClient, maxReservationsPerClient, maxWaitingPerClient] satisfies Counts,
      mostMisses: maxMissesPerClient,
      windowSeconds: WINDOW_SECONDS,
      isFull: (kind, client) => this.#isFull(kind, client),
      full: () => this.#allFull(),
      setFull: (kind, client, isFull) => this.#setFull(kind, client, isFull),
      // Another node may have a limit where this one has none.
      shutOut: (client, forMs) => {
        if (this.#isCountingMisses) shutOut(client, forMs)
      },
    })
    this.#refresh = setInterval(() => {
      for (const client of this.#allFull()) this.#tell(client)
    }, REFRESH_MS)
  }

  elsewhere(what: ShareName): Elsewhere {
    const kind = KINDS.indexOf(what)
    return {
      isFull: (client) => this.#isFull(kind, client),
      changed: (client, by) => this.#change(client, kind, by),
    }
  }

  missed(client: string): void {
    if (this.#isCountingMisses) this.#clients.missed(client)
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
    this.#untold.add(client)
  }

  #tellAll(): void {
    for (const client of this.#untold) this.#tell(client)
    this.#untold.clear()
  }

  #tell(client: string): void {
    if (this.#clients.hold(client, this.#held.get(client) ?? NONE)) return
    // Without the others, a node counts for itself.
    for (const clients of this.#full) clients.delete(client)
  }

  #isFull(kind: number, client: string): boolean {
    return this.#full[kind]?.has(client) === true
  }

  #allFull(): ReadonlySet<string> {
    return new Set(this.#full.flatMap((clients) => [...clients]))
  }

  #setFull(kind: number, client: string, isFull: boolean): void {
    if (isFull) this.#full[kind]?.add(client)
    else this.#full[kind]?.delete(client)
  }
}

function plus(counts: Counts, kind: number, by: number): Counts {
  const [sockets, reservations, waiting] = counts.map((count, at) => (at === kind ? count + by : count))
  return [sockets ?? 0, reservations ?? 0, waiting ?? 0]
}
