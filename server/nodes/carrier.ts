import { createHmac, hkdfSync } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { EssError } from '../../shared/index.js'
import { NodeUnreached, nodeAway } from '../answer/node-away.js'
import type { Found, Kind, Locator, Place } from '../locator/locator.js'
import { isBrought, originOf } from '../node/origin.js'
import type { Relay } from '../relay/relay.js'
import { askNode } from './ask-node.js'
import { type Break, breakOffBody, watchBody } from './broken-bodies.js'
import type { Carried } from './carried.js'
import { carryConnection } from './carry-connection.js'
import { carryExchange } from './carry-exchange.js'
import {
  formatAddress,
  type LinkAddress,
  type LinkTerms,
  listenForLinks,
  openLink,
  parseAddress,
} from './links.js'
import { MissedNodes } from './missed-nodes.js'
import { type NodeMoves, nodeMoves } from './moves.js'
import type { CarryingCounts, Errand, Nodes } from './nodes.js'
import { type SignedTokens, signedTokens } from './signed-tokens.js'
import { takeOver } from './takeover.js'

/** What a node needs to join its cluster. */
export interface NodeOptions {
  /** Where this node listens for the others. Port 0 takes a free one. */
  readonly listenAt: LinkAddress
  /** Where they reach it, if that is another address; a port of 0 stands for that of the listener. */
  readonly reachedAt?: LinkAddress
  /** What all nodes of the cluster know, and nobody else. */
  readonly secret: Buffer
  /** True if nothing may be carried but inside TLS. Default: false; then links with nodes that want it have it. */
  readonly wantsTls?: boolean
  /** Called for each link with a node that wants TLS if this one doesn't, or doesn't if this one does. */
  readonly onOtherWish?: (node: string) => void
  /** Tells the kernel's view of a client: that of the node's service. */
  readonly relay: Relay
  /** This node's name, which no other node of the cluster has. */
  readonly name: string
  /** Makes the locator, once it is known where other nodes reach this one. */
  readonly locate: (self: Place) => Locator | Promise<Locator>
}

/** A listener for other nodes, and where they reach it. */
interface NodeListener {
  readonly address: string
  close(): void
}

/** Listens for other nodes, and joins their cluster. Rejects with Node's own error if the address can't be had. */
export async function openNode(options: NodeOptions): Promise<Carrier> {
  const { listenAt, reachedAt = listenAt, secret, relay, name, locate, wantsTls = false } = options
  const terms: LinkTerms = {
    name,
    secret: createHmac('sha256', secret).update('ess links').digest(),
    tlsKey: Buffer.from(hkdfSync('sha256', secret, '', 'ess links, TLS 1.3', 32)),
    wantsTls,
    ...(options.onOtherWish && { onOtherWish: options.onOtherWish }),
  }
  let serve: (link: Socket) => void = (link) => link.destroy()
  const listener = await listenForLinks(listenAt, terms, (link) => serve(link))
  const address = formatAddress({ ...reachedAt, port: reachedAt.port || listener.address.port })
  try {
    const locator = await locate({ node: name, address })
    const own = { address, close: listener.close }
    return new Carrier(locator, relay, terms, own, signedTokens(secret), (take) => {
      serve = take
    })
  } catch (error) {
    listener.close()
    throw error
  }
}

/** A node of a cluster: takes requests from other nodes, and carries requests to them. */
export class Carrier implements Nodes {
  readonly locator: Locator
  readonly serve: Nodes['serve']
  readonly moves: NodeMoves | undefined
  readonly #relay: Relay
  readonly #terms: LinkTerms
  readonly #listener: NodeListener
  readonly #carried = new Set<Carried>()
  readonly #missed: MissedNodes
  #all = 0
  #unreached = 0

  constructor(
    locator: Locator,
    relay: Relay,
    terms: LinkTerms,
    listener: NodeListener,
    tokens: SignedTokens,
    serve: Nodes['serve'],
  ) {
    this.locator = locator
    this.serve = serve
    this.moves = nodeMoves(locator, tokens, async (request, { node, address }) =>
      askNode(request, await this.#open(request, node, address)),
    )
    this.#relay = relay
    this.#terms = terms
    this.#listener = listener
    this.#missed = new MissedNodes(locator)
  }

  /** Where other nodes reach this one. */
  get address(): string {
    return this.#listener.address
  }

  settle(kind: Kind, key: string): void {
    this.locator.settle(kind, key)
  }

  whenKnown(): Promise<void> {
    return this.locator.whenKnown()
  }

  leave(kind: Kind, key: string): void {
    this.locator.leave(kind, key)
  }

  async find(kind: Kind, key: string): Promise<Found> {
    const found = await this.locator.find(kind, key)
    // It was here a moment ago.
    return typeof found === 'object' && found.node === this.locator.self ? undefined : found
  }

  onSettled(id: string, found: () => void): () => void {
    return this.locator.onSettled(id, found)
  }

  isCarried(request: IncomingMessage): boolean {
    return isBrought(request.socket)
  }

  async carry(errand: Errand, { node, address }: Place): Promise<void> {
    const { request, response } = errand
    const link = await this.#open(request, node, address)
    // The client has left meanwhile.
    if (!request.socket.writable || response.headersSent) {
      link.destroy()
      return
    }
    const carried = this.#begin(errand, link)
    this.#carried.add(carried)
    this.#missed.watch(node, carried)
    this.#all++
    // It never rejects.
    void carried.ended.then(() => this.#carried.delete(carried))
  }

  #begin(errand: Errand, link: Socket): Carried {
    const taken = takeOver(errand.request, errand.response)
    if (taken !== undefined) return carryConnection(taken, errand, link, this.#relay)
    try {
      return carryExchange(errand, link, this.#relay)
    } catch (cause) {
      link.destroy()
      // HTTP/2 may bring a head that HTTP/1.1 can't write.
      throw new EssError('bad-request', 'This request cannot be passed on by HTTP/1.1. Check its headers.', {
        cause,
      })
    }
  }

  watchBody(request: IncomingMessage): void {
    watchBody(request)
  }

  breakOff(connection: Socket, how: Break): boolean {
    return breakOffBody(connection, how)
  }

  get counts(): CarryingCounts {
    return { now: this.#carried.size, all: this.#all, unreached: this.#unreached }
  }

  async whenIdle(): Promise<void> {
    while (this.#carried.size > 0) await Promise.all([...this.#carried].map(({ ended }) => ended))
  }

  stopNow(): void {
    for (const carried of this.#carried) carried.stop()
  }

  async close(): Promise<void> {
    this.#listener.close()
    await this.locator.close()
  }

  async #open(request: IncomingMessage, node: string, address: string): Promise<Socket> {
    const target = parseAddress(address)
    try {
      if (target === undefined) throw new Error(`Expected HOST:PORT, got ${address}`)
      return await openLink(target, node, originOf(request.socket), this.#terms)
    } catch (cause) {
      this.#unreached++
      throw nodeAway(new NodeUnreached(node, address, cause))
    }
  }
}
