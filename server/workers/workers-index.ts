import type { Kind, Locator } from '../locator/locator.js'
import { MemoryStore } from '../locator/memory.js'
import type { Handlers, ToParent, ToWorker } from './messages.js'

/** The messages that are about where a transfer is. */
export type IndexMessage = Extract<ToParent, { kind: 'settle' | 'leave' | 'find' | 'await' | 'forget' }>

/** A worker, as far as the index needs it. */
export interface IndexedWorker {
  readonly name: string
  tell(message: ToWorker): void
}

/** What the index knows of one worker. */
interface Member {
  readonly locator: Locator
  /** What stops each wait of it, by its number. */
  readonly waits: Map<number, () => void>
}

/** Knows which worker has which transfer, for all of them. */
export class WorkersIndex {
  // A worker's sockets end with it: no sender opens its link again at another worker.
  readonly #store = new MemoryStore({ mayComeBack: false })
  readonly #members = new Map<IndexedWorker, Member>()
  readonly #tellAll: (message: ToWorker) => void
  /** What a worker says of where a transfer is. */
  readonly handlers: Handlers<IndexMessage, [IndexedWorker]> = {
    settle: ({ what, key }, worker) => this.#members.get(worker)?.locator.settle(what, key),
    leave: ({ what, key }, worker) => this.#members.get(worker)?.locator.leave(what, key),
    // It never rejects.
    find: ({ ask, what, key }, worker) => void this.#find(ask, what, key, worker),
    await: ({ ask, id }, worker) => this.#await(ask, id, worker),
    forget: ({ ask }, worker) => this.#forget(ask, worker),
  }

  constructor(tellAll: (message: ToWorker) => void) {
    this.#tellAll = tellAll
  }

  /** `address` is where other workers reach this one. */
  join(worker: IndexedWorker, address: string): void {
    const locator = this.#store.join({ node: worker.name, address })
    this.#members.set(worker, { locator, waits: new Map() })
    this.#tellAll({ kind: 'nodes', nodes: this.#store.nodes })
  }

  /** Its transfers ended with it, and so did its links. */
  drop(worker: IndexedWorker): void {
    const member = this.#members.get(worker)
    if (member === undefined) return
    this.#members.delete(worker)
    // It never rejects, and forgets the worker at once.
    void member.locator.close()
    this.#tellAll({ kind: 'nodes', nodes: this.#store.nodes })
  }

  /** Tells the worker when this id settles somewhere. */
  #await(ask: number, id: string, worker: IndexedWorker): void {
    const member = this.#members.get(worker)
    if (member === undefined) return
    const { locator, waits } = member
    const found = () => {
      waits.delete(ask)
      worker.tell({ kind: 'settled', ask })
    }
    waits.set(ask, locator.onSettled(id, found))
  }

  /** It doesn't wait any more. */
  #forget(ask: number, worker: IndexedWorker): void {
    const waits = this.#members.get(worker)?.waits
    waits?.get(ask)?.()
    waits?.delete(ask)
  }

  /** Tells the worker where this key is. Never rejects. */
  async #find(ask: number, what: Kind, key: string, worker: IndexedWorker): Promise<void> {
    const locator = this.#members.get(worker)?.locator
    if (locator === undefined) return
    let found = await locator.find(what, key)
    if (found === undefined) {
      // A worker says that it has a link before it answers with it. If this question came only because of that answer,
      // that message is here too by now, and is read in this turn.
      await new Promise((resolve) => setImmediate(resolve))
      found = await locator.find(what, key)
    }
    // It has looked for itself already.
    const isOwn = typeof found === 'object' && found.node === worker.name
    worker.tell({ kind: 'found', ask, found: isOwn ? undefined : found })
  }
}
