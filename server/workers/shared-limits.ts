import type { Room } from '../broker/registry.js'
import type { MachineLimits, ShareName } from '../limits/client-limits.js'
import type { Elsewhere } from '../limits/shares.js'
import type { Counted, ToParent } from './messages.js'

/** A worker's side of the machine's limits: tells the parent of every change, and hears who has all it may have. */
export class SharedLimits implements MachineLimits, Room {
  readonly #tell: (message: ToParent) => void
  readonly #full = new Set<string>()

  constructor(tell: (message: ToParent) => void) {
    this.#tell = tell
  }

  elsewhere(what: ShareName): Elsewhere {
    return {
      isFull: (client) => this.#full.has(`${what} ${client}`),
      changed: (client, by) => this.#tell({ kind: 'share', what, client, by }),
    }
  }

  missed(client: string): void {
    this.#tell({ kind: 'missed', client })
  }

  isFull(what: 'sockets' | 'awaiting'): boolean {
    return this.#full.has(`${OF_ALL[what]} `)
  }

  changed(what: 'sockets' | 'awaiting', by: 1 | -1): void {
    this.#tell({ kind: 'share', what: OF_ALL[what], client: '', by })
  }

  /** The parent says that this client has all it may have, or no longer. */
  setFull(what: Counted, client: string, isFull: boolean): void {
    if (isFull) this.#full.add(`${what} ${client}`)
    else this.#full.delete(`${what} ${client}`)
  }
}

/** What all clients have together, by its name in messages. */
const OF_ALL = { sockets: 'room', awaiting: 'awaiting' } as const
