import { Misses } from '../limits/misses.js'
import { COUNTED, type Counted, type ToWorker } from './messages.js'

/** How much each client may have, and the machine in all; 0 for no limit. */
export type Most = Readonly<Record<Counted, number>>

/**
 * Adds up what the workers hold for each client. A worker takes without asking, and tells it; it hears from here of a
 * client that has all it may have. So a limit costs nothing on the path of a transfer, and a client that asks several
 * workers within the same millisecond may get some more than its share.
 */
export class MachineLimits<Worker> {
  readonly #most: Most
  readonly #misses: Misses
  readonly #tellAll: (message: ToWorker) => void
  /** How many of each kind each client has. */
  readonly #taken = new Map<Counted, Map<string, number>>(COUNTED.map((what) => [what, new Map()]))
  /** The same for each worker, for the moment it dies. */
  readonly #byWorker = new Map<Worker, Map<string, number>>()

  constructor(most: Most, maxMisses: number, tellAll: (message: ToWorker) => void) {
    this.#most = most
    this.#misses = new Misses(maxMisses)
    this.#tellAll = tellAll
  }

  /** A worker has taken some, or given some back. */
  changed(worker: Worker, what: Counted, client: string, by: number): void {
    const own = this.#byWorker.get(worker) ?? new Map<string, number>()
    this.#byWorker.set(worker, own)
    add(own, `${what} ${client}`, by)
    this.#add(what, client, by)
  }

  /** A worker has answered a client with a 404. */
  missed(client: string): void {
    const forMs = this.#misses.count(client)
    if (forMs > 0) this.#tellAll({ kind: 'out', client, forMs })
  }

  /** This worker is gone, and all that it held. */
  drop(worker: Worker): void {
    for (const [name, count] of this.#byWorker.get(worker) ?? []) {
      const [what = '', client = ''] = name.split(' ')
      const counted = COUNTED.find((one) => one === what)
      if (counted !== undefined) this.#add(counted, client, -count)
    }
    this.#byWorker.delete(worker)
  }

  /** What a new worker has to know. */
  *full(): Iterable<ToWorker> {
    for (const [what, clients] of this.#taken)
      for (const [client, count] of clients)
        if (this.#isFull(what, count)) yield { kind: 'full', what, client, isFull: true }
  }

  #add(what: Counted, client: string, by: number): void {
    const clients = this.#taken.get(what)
    if (clients === undefined || this.#most[what] === 0) return
    const wasFull = this.#isFull(what, clients.get(client) ?? 0)
    const isFull = this.#isFull(what, add(clients, client, by))
    if (isFull !== wasFull) this.#tellAll({ kind: 'full', what, client, isFull })
  }

  #isFull(what: Counted, count: number): boolean {
    return count >= this.#most[what]
  }
}

/** Keeps no client that has nothing. Returns how many it has now. */
function add(counts: Map<string, number>, name: string, by: number): number {
  const count = (counts.get(name) ?? 0) + by
  if (count > 0) counts.set(name, count)
  else counts.delete(name)
  return count
}
