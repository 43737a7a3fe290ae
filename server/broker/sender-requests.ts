import { randomBytes } from 'node:crypto'
import { FinalAnswer } from '../answer/final-answer.js'
import type { ClientLimits } from '../limits/client-limits.js'
import { outlastHost } from '../node/host-timeouts.js'
import type { Relay } from '../relay/relay.js'
import { checkReferer } from '../request/access.js'
import { fileNameOf } from '../request/payload.js'
import { checkEarlyResponse, checkSender } from '../request/sender.js'
import type { Ttl } from '../request/times.js'
import { requestedTtl } from '../request/times.js'
import type { SocketObserver } from './effects.js'
import { type Call, hasEnded, refusePipelined } from './exchange.js'
import { baseOf, openedEvent, type Reservation, reservationOf } from './links.js'
import type { Listeners } from './listeners.js'
import type { ResolvedOptions } from './options.js'
import type { Registry } from './registry.js'
import type { Segment } from './segment.js'
import type { SenderBodies } from './sender-bodies.js'
import { EphemeralSocket } from './socket.js'
import type { StatusStreams } from './status-streams.js'

/** The parts of a service that a sender's request passes. */
export interface SenderParts {
  readonly options: ResolvedOptions
  readonly relay: Relay
  readonly registry: Registry
  readonly limits: ClientLimits
  readonly listeners: Listeners
  readonly statusStreams: StatusStreams
  readonly senderBodies: SenderBodies
  readonly observer: SocketObserver
  /** Throws EssError `shutting-down` once the service takes nothing new. */
  readonly refuseWhenStopping: () => void
}

/** Makes sockets of senders' requests, and brings senders to the sockets that they reserved. */
export class SenderRequests {
  readonly #parts: SenderParts

  constructor(parts: SenderParts) {
    this.#parts = parts
  }

  /** See `Service.open`. */
  async open(call: Call, fileName: string | undefined): Promise<void> {
    const { options, registry, limits, statusStreams, senderBodies, refuseWhenStopping } = this.#parts
    const { request, response, query } = call
    refuseWhenStopping()
    refusePipelined(response)
    // The request followed a download that ended the connection, so no answer can be written.
    if (!request.socket.writable) return
    const base = baseOf(call, options)
    checkEarlyResponse(request, base, options)
    checkSender(request, options)
    const ttl = requestedTtl(query, options.ttlMs)
    registry.checkRoom()
    // A form becomes a socket only when its file was found, but holds as much until then.
    const giveBack = limits.take('sockets', request)
    let socket: EphemeralSocket | undefined
    try {
      outlastHost(request, response)
      const file = await senderBodies.readFile(call, fileName)
      refuseWhenStopping()
      if (hasEnded(call)) return
      socket = this.#createSocket(registry.mint(), ttl, giveBack)
      const status = statusStreams.create(call, socket)
      registry.add(socket)
      status.open(201, openedEvent(socket, base, file.payload.fileName))
      this.#admit(socket, { request, response, status, ...file }, query)
    } finally {
      if (socket === undefined) giveBack()
    }
  }

  /** See `Service.reserve`. */
  reserve(call: Call): Reservation {
    const { options, registry, limits, listeners, refuseWhenStopping } = this.#parts
    const { request, query } = call
    refuseWhenStopping()
    checkReferer(request, options.requiredReferer)
    const base = baseOf(call, options)
    const ttl = requestedTtl(query, options.ttlMs)
    const fileName = fileNameOf({}, query, undefined)
    const id = registry.mint()
    const share = limits.takeReservation(request)
    const socket = this.#createSocket(id, ttl, share.giveBackSocket, fileName)
    // It never rejects: it is settled when the reservation ends, too.
    void socket.senderCame.then(share.giveBackReservation)
    registry.add(socket)
    listeners.tell('socket:reserved', socket, socket.id, query, request)
    return reservationOf(socket, base, fileName)
  }

  /** See `Service.upload`. */
  async upload(call: Call, token: string): Promise<void> {
    const { options, registry, senderBodies, refuseWhenStopping } = this.#parts
    const { request, response, query } = call
    refuseWhenStopping()
    refusePipelined(response)
    const socket = registry.findUpload(token)
    checkSender(request, options)
    socket.inspect('sender-arrived')
    outlastHost(request, response)
    const file = await senderBodies.readFile(call, undefined)
    if (hasEnded(call)) return
    const status = new FinalAnswer(request, response, options.cors)
    this.#admit(socket, { request, response, status, ...file }, query)
  }

  #admit(socket: EphemeralSocket, segment: Segment, query: URLSearchParams): void {
    const { listeners, senderBodies } = this.#parts
    const isFirst = socket.phase === 'reserved'
    socket.admit(segment)
    senderBodies.admitted(socket, segment)
    if (!isFirst) return
    listeners.tell('socket:opened', socket, socket.id, query, segment.request)
    senderBodies.watchForm(socket, segment)
  }

  #createSocket(id: string, ttl: Ttl, giveBack: () => void, fileName?: string): EphemeralSocket {
    const { options, relay, statusStreams, observer } = this.#parts
    const { maxUploadBytes, stallTimeoutMs, reservations, cors } = options
    const token = reservations ? randomBytes(16).toString('base64url') : undefined
    return new EphemeralSocket(
      {
        id,
        token,
        ...ttl,
        maxUploadBytes,
        stallTimeoutMs,
        relay,
        progress: statusStreams.progress,
        giveBack,
        cors,
      },
      observer,
      fileName,
    )
  }
}
