/**
 * What a cluster knows of its clients: how much each holds, and how often it asked for what doesn't exist. A client is
 * any text that is the same on all nodes. Nothing here rejects, and no promise takes longer than a search.
 */
export interface Clients {
  /**
   * This client holds so many things of each kind here, from now on. Resolves to what it holds at all other nodes
   * together; undefined if that isn't known in time. All zeros mean that it holds nothing any more.
   */
  hold(client: string, held: readonly number[]): Promise<readonly number[] | undefined>

  /**
   * This client asked for what doesn't exist. Resolves to how often it did, at all nodes together, since the first time
   * within `windowSeconds`, and how long that window still lasts; undefined if that isn't known in time.
   */
  miss(client: string, windowSeconds: number): Promise<Misses | undefined>

  /** Tells the other nodes, if they can be told now. */
  announce(news: string): void

  /** Calls `hear` with what other nodes announce. There is one listener. */
  onAnnounced(hear: (news: string) => void): void
}

/** How often a client asked for what doesn't exist. */
export interface Misses {
  readonly count: number
  readonly leftMs: number
}
