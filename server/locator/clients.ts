/**
 * What a cluster knows of its clients: how much each holds, and how often it asked for what doesn't exist. A client is
 * any text that is the same on all nodes. Nothing here throws or waits: what follows is told to the listeners of all
 * nodes, this one included.
 */
export interface Clients {
  /**
   * This client holds so many things of each kind here, from now on. All zeros mean that it holds nothing any more. Tell
   * it again at any time, to have what this node takes for true about the client compared with what is. Returns false
   * while the cluster can't be told: it will be, later.
   */
  hold(client: string, held: readonly number[]): boolean

  /** This client asked for what doesn't exist. */
  missed(client: string): void

  /** There is one listener. What came before it isn't told again. */
  listen(listener: ClientsListener): void
}

/** How a node counts its clients, and what it takes for true of them. */
export interface ClientsListener {
  /** How many things of each kind a client may hold, over all nodes; 0 for no limit. In the order of `hold`. */
  readonly most: readonly number[]
  /** How often a client may ask for what doesn't exist, over all nodes, in `windowSeconds`. */
  readonly mostMisses: number
  readonly windowSeconds: number
  /** True if this node takes the client for one that has all it may have of this kind. */
  isFull(kind: number, client: string): boolean
  /** All those, of whatever kind. */
  full(): Iterable<string>
  /** Has it all it may have, or not? All nodes are told what happened in the order in which it did. */
  setFull(kind: number, client: string, isFull: boolean): void
  /** This client may look nothing up for so long. */
  shutOut(client: string, forMs: number): void
}
