import type { Found, Kind, Locator, LocatorState } from '../locator/locator.js'
import type { Link, ToParent } from './messages.js'

/**
 * How long a search may take. Longer than in a cluster: the parent is never away, and late only where the whole machine
 * is.
 */
const FIND_MS = 2000

/** A worker's way to the locator that its parent has. */
export class FarLocator implements Locator {
  readonly self: string
  readonly #tell: (message: ToParent, how: 'now' | 'soon') => void
  readonly #asked = new Map<number, (found: Found) => void>()
  readonly #awaited = new Map<number, () => void>()
  #nodes: readonly Link[] = []
  #lastAsk = 0

  constructor(self: string, tell: (message: ToParent, how: 'now' | 'soon') => void) {
    this.self = self
    this.#tell = tell
  }

  get state(): LocatorState {
    return { isWell: true, trouble: undefined, nodes: this.#nodes }
  }

  settle(what: Kind, key: string): void {
    // Before its client can know the link, and use it at another worker.
    this.#tell({ kind: 'settle', what, key }, 'now')
  }

  async whenKnown(): Promise<void> {
    // The parent was told at once.
  }

  leave(what: Kind, key: string): void {
    this.#tell({ kind: 'leave', what, key }, 'soon')
  }

  find(what: Kind, key: string): Promise<Found> {
    const ask = ++this.#lastAsk
    return new Promise((resolve) => {
      const deadline = setTimeout(() => answered('unknown'), FIND_MS)
      const answered = (found: Found) => {
        clearTimeout(deadline)
        this.#asked.delete(ask)
        resolve(found)
      }
      this.#asked.set(ask, answered)
      this.#tell({ kind: 'find', ask, what, key }, 'now')
    })
  }

  onSettled(id: string, found: () => void): () => void {
    const ask = ++this.#lastAsk
    this.#awaited.set(ask, found)
    this.#tell({ kind: 'await', ask, id }, 'now')
    return () => {
      if (this.#awaited.delete(ask)) this.#tell({ kind: 'forget', ask }, 'soon')
    }
  }

  /** The parent's answer to `find`. */
  found(ask: number, found: Found): void {
    this.#asked.get(ask)?.(found)
  }

  /** The parent's answer to `onSettled`. */
  settled(ask: number): void {
    const found = this.#awaited.get(ask)
    this.#awaited.delete(ask)
    found?.()
  }

  /** The workers that are there now. */
  setNodes(nodes: readonly Link[]): void {
    this.#nodes = nodes
  }

  async close(): Promise<void> {
    // The parent sees the end of this process, and forgets what it had.
  }
}
