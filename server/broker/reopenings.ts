import { EssError } from '../../shared/index.js'
import { nodeAway } from '../answer/node-away.js'
import type { Claimed, Decided, Place } from '../locator/locator.js'
import type { NodeMoves } from '../nodes/moves.js'
import { reopeningOf } from '../request/reopening.js'
import { checkSize } from '../request/sender.js'
import { requestedTtl } from '../request/times.js'
import { commonTerms } from './common-terms.js'
import type { Call } from './exchange.js'
import { baseOf, type Reservation, reservationOf } from './links.js'
import { noUpload } from './registry.js'
import { checkResumes, type SenderParts } from './sender-requests.js'
import { EphemeralSocket } from './socket.js'
import { UploadTokens } from './upload-tokens.js'

/** A link that is open again, or still is. */
export interface Reopened extends Reservation {
  /** Seconds that a side which lost its connection has to come back; absent if the sender can't go on. */
  readonly resumeWithin?: number
}

/** The link that a sender wants to open again, and the token of its upload resource. */
export interface Upload {
  readonly id: string
  readonly token: string
}

/** Opens links again whose node stops, or has died. */
export class Reopenings {
  readonly #parts: SenderParts
  /** By the id: settled when it is known whether the link is this node's, or another one was quicker. */
  readonly #claims = new Map<string, Promise<Claimed>>()

  constructor(parts: SenderParts) {
    this.#parts = parts
  }

  /** See `Service.reopened`. */
  async reopened(call: Call, { token, id }: Upload): Promise<Reopened> {
    const { registry } = this.#parts
    if (registry.verdictOf(token) !== undefined)
      throw new EssError('gone', 'This transfer is over. Its events say how it ended.')
    const socket = registry.get(id)
    if (socket === undefined) {
      // It throws, unless this token is of another link.
      registry.findUpload(token)
      throw noUpload()
    }
    if (!registry.isTokenOf(token, socket)) throw noUpload()
    await this.#claims.get(id)
    if (registry.get(id) !== socket) throw nodeAway()
    return this.#answerOf(socket, call)
  }

  /** See `Service.reopen`. */
  async reopen(
    call: Call,
    { token, id }: Upload,
    moves: NodeMoves,
    letGoBy: Place | undefined,
  ): Promise<Reopened | undefined> {
    const { options, registry, limits, listeners, observer, refuseWhenStopping } = this.#parts
    const { request, query } = call
    // The same sender has asked twice. From here to the claim nothing is awaited, so that only one opens it here.
    if (registry.get(id) !== undefined) {
      await this.#claims.get(id)
      return registry.get(id) === undefined ? undefined : await this.reopened(call, { token, id })
    }
    refuseWhenStopping()
    checkResumes(options)
    const past = reopeningOf(request, query)
    checkSize(past.payload.contentLength, options)
    const ttl = requestedTtl(query, options.ttlMs)
    const base = baseOf(call, options)
    registry.checkRoom()
    const giveBack = limits.take('sockets', request)
    const tokens = new UploadTokens(() => registry.newToken(id), [token])
    tokens.renew()
    const terms = { id, base, giveBack, ...ttl, ...commonTerms(this.#parts) }
    const socket = new EphemeralSocket(terms, tokens, observer, undefined, past)
    // Before the claim: as soon as it is this node's, other nodes bring receivers.
    registry.addHere(socket)
    // Before the claim too, whose answer then says that the store has it: the sender asks there at once, at any node.
    registry.settleToken(socket)
    listeners.tell('socket:reopened', socket, id, query, request)
    socket.reopen()
    const claim = this.#claim(socket, moves, letGoBy)
    this.#claims.set(id, claim)
    const claimed = await claim
    this.#claims.delete(id)
    if (claimed === 'gone') throw new EssError('gone', 'This transfer is over, and a link works once.')
    return typeof claimed === 'object' ? undefined : this.#answerOf(socket, call)
  }

  /** Settles the socket here, or sends all who have come to it meanwhile to the node that was quicker. */
  async #claim(socket: EphemeralSocket, moves: NodeMoves, letGoBy: Place | undefined): Promise<Claimed> {
    const { registry } = this.#parts
    const claimed = await moves.claim(socket.id, letGoBy, (whose) => {
      if (registry.get(socket.id) === socket) this.#decide(socket, whose)
      else if (whose === 'mine') registry.settleLate(socket)
    })
    // The store can't say, and the link has to be open somewhere. If it is at two nodes, one of them gives it up later.
    if (claimed === 'unknown') registry.appeared(socket)
    else this.#decide(socket, claimed)
    return claimed
  }

  #decide(socket: EphemeralSocket, whose: Decided): void {
    if (whose === 'mine') this.#parts.registry.settle(socket)
    else socket.move()
  }

  #answerOf(socket: EphemeralSocket, call: Call): Reopened {
    const { options } = this.#parts
    const base = baseOf(call, options)
    return {
      ...reservationOf(socket, base, socket.fileName),
      ...(socket.isResumable && { resumeWithin: options.resumeWithinMs / 1000 }),
    }
  }
}
