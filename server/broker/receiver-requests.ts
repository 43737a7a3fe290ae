import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import type { ClientLimits } from '../limits/client-limits.js'
import { outlastHost } from '../node/host-timeouts.js'
import { checkEnd } from '../relay/length-trailer.js'
import { clientAddress, NO_ADDRESS } from '../request/client-address.js'
import { asksForPart, type Start, startOf } from '../request/range.js'
import { requestedWaitMs } from '../request/times.js'
import { EarlyReceivers } from './early-receivers.js'
import { type Exchange, hasEnded, refusePipelined } from './exchange.js'
import type { ResolvedOptions } from './options.js'
import type { Registry } from './registry.js'
import type { EphemeralSocket } from './socket.js'

/** How long a receiver waits for a link that is between two nodes. Its sender is told at once, and comes within a second. */
const REOPENING_MS = 10_000

/** The parts of a service that a receiver's request passes. */
export interface ReceiverParts {
  readonly options: ResolvedOptions
  readonly registry: Registry
  readonly limits: ClientLimits
  /** Throws EssError `shutting-down` once the service takes nothing new. */
  readonly refuseWhenStopping: () => void
}

/** Brings receivers' requests to their sockets. */
export class ReceiverRequests {
  readonly #parts: ReceiverParts
  readonly #early: EarlyReceivers

  constructor(parts: ReceiverParts) {
    this.#parts = parts
    this.#early = new EarlyReceivers(parts.registry, parts.limits)
  }

  /** See `Service.receive`. */
  async receive(exchange: Exchange, id: string): Promise<void> {
    const { options, registry } = this.#parts
    const { request, response, query } = exchange
    refusePipelined(response)
    // A body means nothing here, but unread it would stand in front of the receiver's end, which is its confirmation.
    // Over HTTP/2 that end is the stream's, and both sides have one: read too early, it would pass for the other one.
    if (request.httpVersionMajor === 1) request.resume()
    const wantsPart = asksForPart(request, id)
    // A part is refused as soon as the link is there, so there is nothing to wait for.
    const waitMs = wantsPart ? 0 : requestedWaitMs(request, query, options.ttlMs)
    outlastHost(request, response)
    let socket = registry.get(id) ?? (await this.#find(request, id, waitMs))
    if (wantsPart && !mayReturn(socket)) socket.inspect()
    const start = startOf(request, socket)
    if (socket.phase === 'reserved') await this.#early.awaitSender(socket, exchange)
    // If this receiver has left, during a wait or right after its request, the socket stays for another one.
    if (!request.socket.writable || hasEnded(exchange)) return
    // It throws how the reservation has ended, unless that has come back from another node.
    if (socket.phase === 'closed') socket = registry.find(id, socket.outcome)
    const takesOver = mayReturn(socket) && this.#isSameReceiver(socket, request, start)
    if (!takesOver) socket.inspect()
    checkReach(socket, start)
    // Without chunked coding, a body of unknown length ends like a broken one: by the end of the connection.
    if (request.httpVersion === '1.0' && socket.contentLength === undefined) {
      throw new EssError(
        'http-version-not-supported',
        'The size of this file is not known, and over HTTP/1.0 you could not tell whether you have all of it. Download it over HTTP/1.1, for example with curl.',
      )
    }
    // A sealed file shows by itself where it was cut: what opens it finds no last chunk.
    if (options.proxyHidesCuts && socket.sealed === undefined) checkEnd(request, socket.contentLength)
    if (takesOver) socket.receiveAgain(request, response, start.from)
    else socket.receive(request, response, start.from)
  }

  /** See `Service.awaitNews`. */
  async awaitNews(exchange: Exchange, id: string): Promise<void> {
    const { options, registry } = this.#parts
    const { request, response, query } = exchange
    const waitMs = requestedWaitMs(request, query, options.ttlMs)
    if (waitMs === 0) return
    const endMs = performance.now() + waitMs
    refusePipelined(response)
    // Only reading on shows that this client has left.
    if (request.httpVersionMajor === 1) request.resume()
    outlastHost(request, response)
    const socket = registry.get(id) ?? (await this.#find(request, id, waitMs))
    const leftMs = endMs - performance.now()
    const mayHaveNews = socket.phase === 'reserved' && !socket.isNoted
    if (mayHaveNews && leftMs > 0) await this.#early.awaitSender(socket, exchange, leftMs)
  }

  /** See `Service.awaitReopening`. */
  async awaitReopening({ request, response }: Exchange, id: string): Promise<void> {
    refusePipelined(response)
    // Only reading on shows that this client has left.
    if (request.httpVersionMajor === 1) request.resume()
    outlastHost(request, response)
    await this.#early.awaitSocket(id, REOPENING_MS, request).catch(ignoreNoRoom)
  }

  /**
   * True for a receiver that has come back while its old connection still looks alive: it names an offset, and knows the
   * file's tag or, beyond byte 0, has the old one's address.
   */
  #isSameReceiver(
    socket: EphemeralSocket,
    request: IncomingMessage,
    { from, isGoingOn, knowsTag }: Start,
  ): boolean {
    const { receiverRequest } = socket
    if (receiverRequest === undefined || !isGoingOn) return false
    const { trust } = this.#parts.options
    const address = clientAddress(request, trust)
    return (
      knowsTag || (from > 0 && address !== NO_ADDRESS && address === clientAddress(receiverRequest, trust))
    )
  }

  async #find(request: IncomingMessage, id: string, waitMs: number): Promise<EphemeralSocket> {
    const { options, registry, refuseWhenStopping } = this.#parts
    try {
      return registry.find(id)
    } catch (error) {
      const isUnknown = error instanceof EssError && error.code === 'not-found'
      const mayAppear = isUnknown && options.ids.matches(id)
      if (waitMs === 0 || !mayAppear) throw error
    }
    refuseWhenStopping()
    await this.#early.awaitSocket(id, waitMs, request)
    refuseWhenStopping()
    return registry.find(id)
  }
}

/** A client for which there is no room comes again, as it is told. */
function ignoreNoRoom(error: unknown): void {
  const isFull = error instanceof EssError && ['over-share', 'too-many-sockets'].includes(error.code)
  if (!isFull) throw error
}

/** True if a receiver may come back to this socket. */
function mayReturn({ lowestReturn }: EphemeralSocket): boolean {
  return lowestReturn !== undefined
}

/** Throws EssError `gone` if the sender can't go back as far as this receiver needs. */
function checkReach({ lowestReturn, phase }: EphemeralSocket, { from }: Start): void {
  if (phase !== 'interrupted' || lowestReturn === undefined || from >= lowestReturn) return
  throw new EssError(
    'gone',
    `The beginning of this file went to a receiver before you, and the sender can only go back to byte ${lowestReturn}. Ask the sender for a new link.`,
  )
}
