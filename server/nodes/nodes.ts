import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Found, Kind, Place } from '../locator/locator.js'
import type { ResponsePort } from '../node/ports.js'
import type { Break } from './broken-bodies.js'
import type { NodeMoves } from './moves.js'

/** A request that another node has to answer. Nothing is written to its response. */
export interface Errand {
  readonly request: IncomingMessage
  readonly response: ResponsePort
  /** True for a download, whose end its receiver confirms. */
  readonly isDownload: boolean
}

/** What operators see of carrying. */
export interface CarryingCounts {
  /** The requests that this node carries now. */
  readonly now: number
  /** The requests that this node has carried so far, those of now included. */
  readonly all: number
  /** The requests for a node that could not be reached. */
  readonly unreached: number
}

/** The other nodes of a cluster, or the other workers of a machine, as the broker and the routes see them. */
export interface Nodes {
  /** See `Locator.settle`. */
  settle(kind: Kind, key: string): void
  /** See `Locator.whenKnown`. */
  whenKnown(): Promise<void>
  /** See `Locator.leave`. */
  leave(kind: Kind, key: string): void
  /** See `Locator.find`. */
  find(kind: Kind, key: string): Promise<Found>
  /** See `Locator.onSettled`. */
  onSettled(id: string, found: () => void): () => void
  /** Calls `take` with each connection that another node brings, paused, to answer like one of this node's own. */
  serve(take: (connection: Socket) => void): void
  /** True for a request that another node has brought here. It must not be carried on: that could go in circles. */
  isCarried(request: IncomingMessage): boolean
  /**
   * Has the node at `place` answer this request. Settled when that node has it, long before its answer ends. Rejects
   * with EssError `node-away` if that node can't be reached; then nothing is written yet, and the caller refuses the
   * request.
   */
  carry(errand: Errand, place: Place): Promise<void>
  /** Undefined where no transfer goes on at another node: the workers of one machine stop together. */
  readonly moves?: NodeMoves | undefined
  /** Call it as soon as another node may have to take this sender's body: see `breakOff`. */
  watchBody(request: IncomingMessage): void
  /**
   * Call it when Node can't read on in the middle of a chunked body. True if another node has to answer that, or may have
   * to; then there is nothing more to do.
   */
  breakOff(connection: Socket, how: Break): boolean
  readonly counts: CarryingCounts
  /** Fulfilled when no request is being carried. */
  whenIdle(): Promise<void>
  /** Breaks off every request that is being carried. */
  stopNow(): void
  /** Takes nothing more from other nodes, and leaves the cluster. Call it last. */
  close(): Promise<void>
}
