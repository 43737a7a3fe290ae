import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Found, Kind, Place } from '../locator/locator.js'
import { disown, leaveUnread } from '../node/received-connection.js'
import type { Break } from '../nodes/broken-bodies.js'
import type { Carrier } from '../nodes/carrier.js'
import type { CarryingCounts, Errand, Nodes } from '../nodes/nodes.js'
import { takeOver } from '../nodes/takeover.js'

/** How a worker gives a connection of its own to another one. */
export interface Passing {
  /** False for a connection that the parent doesn't know. */
  canPass(connection: Socket): boolean
  /** Gives it away, with what was read of it already. */
  pass(connection: Socket, bytes: Buffer, to: string): void
  /** True for a connection that another worker has given to this one. */
  isPassed(connection: Socket): boolean
}

/**
 * The other workers of this machine. Over plain HTTP/1.1 a request goes to the worker that has its socket together with
 * its connection, so that both ends are in one process, and nothing is carried. What can't be had so (TLS, HTTP/2, a
 * body without a length) is carried as between nodes.
 */
export class OtherWorkers implements Nodes {
  readonly #carrier: Carrier
  readonly #passing: Passing

  constructor(carrier: Carrier, passing: Passing) {
    this.#carrier = carrier
    this.#passing = passing
  }

  settle(kind: Kind, key: string): void {
    this.#carrier.settle(kind, key)
  }

  whenKnown(): Promise<void> {
    return this.#carrier.whenKnown()
  }

  leave(kind: Kind, key: string): void {
    this.#carrier.leave(kind, key)
  }

  find(kind: Kind, key: string): Promise<Found> {
    return this.#carrier.find(kind, key)
  }

  onSettled(id: string, found: () => void): () => void {
    return this.#carrier.onSettled(id, found)
  }

  serve(take: (connection: Socket) => void): void {
    this.#carrier.serve(take)
  }

  isCarried(request: IncomingMessage): boolean {
    return this.#passing.isPassed(request.socket) || this.#carrier.isCarried(request)
  }

  async carry(errand: Errand, place: Place): Promise<void> {
    const { request, response } = errand
    const { socket: connection } = request
    const isPlain = connection instanceof Socket && !('encrypted' in connection)
    const taken = isPlain && this.#passing.canPass(connection) ? takeOver(request, response) : undefined
    if (taken === undefined) {
      await this.#carrier.carry(errand, place)
      return
    }
    leaveUnread(connection)
    disown(connection)
    this.#passing.pass(connection, taken.bytes, place.node)
  }

  watchBody(request: IncomingMessage): void {
    this.#carrier.watchBody(request)
  }

  breakOff(connection: Socket, how: Break): boolean {
    return this.#carrier.breakOff(connection, how)
  }

  get counts(): CarryingCounts {
    return this.#carrier.counts
  }

  whenIdle(): Promise<void> {
    return this.#carrier.whenIdle()
  }

  stopNow(): void {
    this.#carrier.stopNow()
  }

  close(): Promise<void> {
    return this.#carrier.close()
  }
}
