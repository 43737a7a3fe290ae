import type { Clients } from './clients.js'

/** What is looked for: the id of a socket, which receivers have, or the token of its upload resource. */
export type Kind = 'id' | 'token'

/** Where a key is. */
export interface Place {
  /** The owner's name. */
  readonly node: string
  /** Where other nodes reach the owner. */
  readonly address: string
}

/**
 * What a search found.
 *
 * - A place: that node has it, or is the one to ask.
 * - `gone`: the id has ended lately.
 * - `between`: the node that had it has died or stops, and its sender may come back at another one.
 * - `unknown`: it can't be said now. The store can't be asked or has lost records, and the id names no node that is
 *   known.
 * - undefined: no node has it.
 */
export type Found = Place | 'gone' | 'between' | 'unknown' | undefined

/** Why the store is less than well; undefined while it is well. */
export type Trouble =
  /** It can't be reached. */
  | 'away'
  /** It answers, but too late for a request to wait. */
  | 'slow'
  /** It can be read, but has no memory left for new records. */
  | 'full'
  /** It answers with errors: a wrong password, missing permissions, still loading its data. */
  | 'refuses'

/** What operators see of a locator. */
export interface LocatorState {
  /** Whether the store can be asked and holds all that it was told. */
  readonly isWell: boolean
  readonly trouble: Trouble | undefined
  /** The nodes that live, this one included; while the store is away, those that were last known. */
  readonly nodes: readonly Place[]
}

/** How a search ended: by a record, by the tag in the id, or without a node. */
export const SEARCH_ENDS = ['record', 'tag', 'gone', 'unknown', 'none'] as const
export type SearchEnd = (typeof SEARCH_ENDS)[number]

/** What operators watch of a node in a cluster. */
export interface ClusterView {
  readonly state: LocatorState
  readonly counts: {
    /** The ids and tokens that are here. */
    readonly settled: number
    /** The records that the store does not have yet. */
    readonly owed: number
    /** The commands that the store was sent. */
    readonly commands: number
    readonly searches: Readonly<Record<SearchEnd, number>>
    /** The searches that the store did not answer in time. */
    readonly late: number
  }
}

/** How long a search may take, whatever the store does. */
export const FIND_MS = 250

/** How long the id of an ended socket is remembered. */
export const TOMBSTONE_SECONDS = 600

/** How long it is remembered that a node which stops has let a key go. */
export const LET_GO_SECONDS = 120

/** Whose an id is, once a node has claimed it: `mine`, or as `find` says. `unknown` is for a store that can't be asked now. */
export type Claimed = Decided | 'unknown'
export type Decided = 'mine' | 'gone' | Place

/** What lets an id go on at another node than the one that had it. */
export interface Moves {
  /**
   * This node stops, and the sender may come back at another one: `find` says `between` for a while, unless the key has
   * settled there. Returns at once and never throws, as `leave` does.
   */
  letGo(kind: Kind, key: string): void

  /**
   * Makes this id this node's, unless it has ended, or a node that lives has it: of several nodes that claim it, one gets
   * it. The node at `letGoBy` has said that it has let the id go, which the store may not know yet. Those who wait for the
   * id are told when it settles. Takes at most `FIND_MS`, and never rejects. After `unknown`, `decided` is called once the
   * store has said whose it is.
   */
  claim(id: string, letGoBy?: Place, decided?: (whose: Decided) => void): Promise<Claimed>

  /**
   * Calls `lost` from now on with each id that had settled here and is no longer this node's, once the store has said so:
   * this node was missed for a while, and the link was opened again at another one. Only one is told, the last.
   */
  onLost(lost: Lost): void
}

/** Told of an id that was here. `hasEnded` is true if it has ended at the other node already. */
export type Lost = (id: string, hasEnded: boolean) => void

/**
 * Knows on which node each socket is. Each node has one, and all of a cluster share what it knows. It knows nothing of
 * the transfers themselves: no name, no address of a client, no byte.
 */
export interface Locator {
  /** This node's name. */
  readonly self: string

  /**
   * From now on `key` is here, until `leave`. Returns at once and never throws: what the store can't take now, it gets
   * later. A node that died is no longer named for its keys once its heartbeats are missed.
   */
  settle(kind: Kind, key: string): void

  /**
   * Resolves when other nodes find all that was settled here before, or after `FIND_MS`, whatever the store does. Wait for
   * it before a client is told what it may use at another node at once. Never rejects.
   */
  whenKnown(): Promise<void>

  /** It has ended, or a token is no longer valid. An id leaves a tombstone for ten minutes. Returns at once too. */
  leave(kind: Kind, key: string): void

  /** Takes at most `FIND_MS`, and never rejects. Ask only for a key that isn't here. */
  find(kind: Kind, key: string): Promise<Found>

  /**
   * Calls `found` once, as soon as `id` is on a node, this one included; soon if it is already. Until then, while the
   * store is away, it waits. Call the returned function to stop that.
   */
  onSettled(id: string, found: () => void): () => void

  readonly state: LocatorState

  /** Undefined where no id goes on at another node. */
  readonly moves?: Moves

  /** What the cluster knows of its clients; undefined where another one counts for all nodes. */
  readonly clients?: Clients

  /** This node leaves the cluster: nothing that it settled is found any more. Call it last, when all sockets have ended. */
  close(): Promise<void>
}
