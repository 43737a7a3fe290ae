import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { EssError } from '../../shared/index.js'
import { checkOptionNames } from '../../shared/option-names.js'
import { FinalAnswer } from '../answer/final-answer.js'
import { ClientLimits } from '../limits/client-limits.js'
import { outlastHost } from '../node/host-timeouts.js'
import { Relay } from '../relay/relay.js'
import { refuseUnauthorized } from '../request/access.js'
import {
  checkEarlyResponse,
  checkReferer,
  checkSender,
  fileNameOf,
  requestedTtl,
  type Ttl,
} from '../request/sender.js'
import type { SocketObserver, Subject } from './effects.js'
import type { ServiceEvents, SocketInfo, SocketStats } from './events.js'
import { type Call, type Exchange, hasEnded, refusePipelined } from './exchange.js'
import { baseOf, openedEvent, type Reservation, reservationOf } from './links.js'
import { Listeners } from './listeners.js'
import { nearestName } from './nearest-name.js'
import {
  type Access,
  type ErrorAnswer,
  type ResolvedOptions,
  resolveOptions,
  type ServiceOptions,
  seconds,
} from './options.js'
import { ReceiverRequests } from './receiver-requests.js'
import { Registry } from './registry.js'
import type { Segment } from './segment.js'
import { SenderRequests } from './sender-requests.js'
import { EphemeralSocket } from './socket.js'
import { StatusStreams } from './status-streams.js'

export type { Call, Exchange } from './exchange.js'
export type { Reservation } from './links.js'

/** The broker without its routes: what can be done with sockets. */
export class Service extends EventEmitter<ServiceEvents> {
  readonly options: ResolvedOptions
  /** How it moves bytes. */
  readonly relay: Relay
  readonly #registry: Registry
  readonly #limits: ClientLimits
  readonly #listeners = new Listeners(this)
  readonly #statusStreams: StatusStreams
  readonly #senderRequests: SenderRequests
  readonly #receiverRequests: ReceiverRequests
  /** The same for all sockets: each says which one it is. */
  readonly #observer: SocketObserver = {
    connected: (socket, request) => this.#listeners.tell('socket:connected', socket, request),
    progress: (socket, bytes) => this.#listeners.tell('socket:progress', socket, bytes),
    closed: (socket, stats) => this.#socketClosed(socket, stats),
  }
  #isStopping = false

  constructor(options: ServiceOptions = {}) {
    super()
    this.options = resolveOptions(options)
    this.relay = new Relay(this.options.relay)
    this.#registry = new Registry(this.options)
    this.#limits = new ClientLimits(this.options)
    this.#statusStreams = new StatusStreams(this.options, this.#listeners)
    this.#senderRequests = new SenderRequests(this.options, this.relay)
    this.#receiverRequests = new ReceiverRequests(this.options, this.#registry, this.#limits, () =>
      this.#refuseWhenStopping(),
    )
  }

  /** True until `stop` is called. */
  get isAccepting(): boolean {
    return !this.#isStopping
  }

  /** What the service holds in memory, by kind; `held` is what its clients hold of their shares. */
  counts(): { sockets: number; tombstones: number; awaiting: number; held: number } {
    return { ...this.#registry.counts(), held: this.#limits.held }
  }

  /**
   * The sockets that have not ended. Their ids are cut to four characters unless `ids` is true: whoever has the
   * id has the file.
   */
  sockets(options: { ids?: boolean } = {}): SocketInfo[] {
    checkOptionNames('sockets', options, { ids: true }, nearestName)
    const { ids = false } = options
    return this.#registry.sockets().map((socket) => {
      const { id, phase, fileName, contentLength, openedAt, ageMs, expiresAt } = socket
      const shown = ids ? id : `${id.slice(0, 4)}…`
      return { id: shown, phase, fileName, contentLength, openedAt, ageMs, expiresAt }
    })
  }

  /**
   * Ends a socket from outside: both sides are told `cancelled`. With a signal, when that is aborted.
   * False when there is no such socket (any more).
   */
  cancel(id: string, signal?: AbortSignal): boolean {
    const socket = this.#registry.sockets().find((candidate) => candidate.id === id)
    if (socket === undefined) return false
    const cancel = () => socket.cancel('the server cancelled it')
    if (signal === undefined || signal.aborted) cancel()
    else {
      signal.addEventListener('abort', cancel, { once: true })
      void socket.ended.then(() => signal.removeEventListener('abort', cancel))
    }
    return true
  }

  /** Throws EssError `unauthorized` where `authorize` does not say true of the request's head. */
  authorize(access: Access, request: IncomingMessage): void {
    const { authorize } = this.options
    // Code of the embedder's that fails has let nobody in.
    if (
      authorize !== undefined &&
      this.#listeners.guarded('authorize', () => authorize(access, request)) !== true
    )
      refuseUnauthorized(access)
  }

  /** Says that this request's 100 (Continue) is for the service to send: see Node's event `checkContinue`. */
  holdContinue(request: IncomingMessage): void {
    this.#senderRequests.holdContinue(request)
  }

  /**
   * A sender's request becomes a socket: the early response goes out at once (that of a form, when its file was
   * found), and stays open until the verdict. `fileName` is the one in the path, decoded. Rejects with the
   * EssError to refuse it with, nothing being written yet.
   */
  async open(call: Call, fileName?: string): Promise<void> {
    const { request, response, query } = call
    this.#refuseWhenStopping()
    refusePipelined(response)
    // It came behind a download that ended its connection, and no answer can be written any more.
    if (!request.socket.writable) return
    const base = baseOf(call, this.options)
    checkEarlyResponse(request, base, this.options)
    checkSender(request, this.options)
    const ttl = requestedTtl(query, this.options.ttlMs)
    this.#registry.checkRoom()
    // A form is a socket only when its file was found, and until then it holds as much.
    const giveBack = this.#limits.take('sockets', request)
    let socket: EphemeralSocket | undefined
    try {
      outlastHost(request, response)
      const file = await this.#senderRequests.readFile(call, fileName)
      this.#refuseWhenStopping()
      if (hasEnded(call)) return
      socket = this.#createSocket(this.#registry.mint(), ttl, giveBack)
      const status = this.#statusStreams.create(call, socket)
      this.#registry.add(socket)
      status.open(201, openedEvent(socket, base, file.payload.fileName))
      this.#admit(socket, { request, response, status, ...file }, query)
    } finally {
      if (socket === undefined) giveBack()
    }
  }

  /** A socket whose sender comes later, to its upload resource. Throws the EssError to refuse it with. */
  reserve(call: Call): Reservation {
    const { request, query } = call
    this.#refuseWhenStopping()
    checkReferer(request, this.options.requiredReferer)
    const base = baseOf(call, this.options)
    const ttl = requestedTtl(query, this.options.ttlMs)
    const fileName = fileNameOf({}, query, undefined)
    const id = this.#registry.mint()
    const share = this.#limits.takeReservation(request)
    const socket = this.#createSocket(id, ttl, share.giveBackSocket, fileName)
    // It never rejects: a reservation that ends has no sender to wait for either.
    void socket.senderCame.then(share.giveBackReservation)
    this.#registry.add(socket)
    this.#listeners.tell('socket:reserved', socket, socket.id, query, request)
    return reservationOf(socket, base, fileName)
  }

  /**
   * The sender of a reservation comes with its whole body, and is answered at the end. The sender of an early
   * response may come here too, as long as not a byte of its first request has arrived: a proxy holds it back.
   * Rejects with the EssError to refuse it with.
   */
  async upload(call: Call, token: string): Promise<void> {
    const { request, response, query } = call
    this.#refuseWhenStopping()
    refusePipelined(response)
    const socket = this.#registry.findUpload(token)
    checkSender(request, this.options)
    socket.inspect('sender-arrived')
    outlastHost(request, response)
    const file = await this.#senderRequests.readFile(call, undefined)
    if (hasEnded(call)) return
    const status = new FinalAnswer(request, response, this.options.cors)
    this.#admit(socket, { request, response, status, ...file }, query)
  }

  /**
   * The status stream of an upload resource by itself: the state first. Throws EssError `not-found`, or
   * `over-share`, because who follows holds a connection for as long as who waits.
   */
  follow(call: Call, token: string): void {
    const socket = this.#registry.findUpload(token)
    const base = baseOf(call, this.options)
    // A follower that has left already would be told nothing.
    if (call.response.destroyed) return
    this.#statusStreams.follow(call, socket, base, this.#limits.take('waiting', call.request))
  }

  /** The sender wants it no more. Throws EssError `not-found`. */
  cancelUpload(token: string): void {
    this.#registry.findUpload(token).cancel()
  }

  /**
   * What comes on this connection is not HTTP any more: if a sender's body was coming on it, its socket fails,
   * and the sender is told. True if that was so, even if it is over. See Node's event `clientError`.
   */
  breakOff(duplex: Duplex, error: NodeJS.ErrnoException): boolean {
    return this.#senderRequests.breakOff(duplex, error)
  }

  /**
   * A receiver's request meets its socket, and the bytes begin to move. Where the id is not there yet it waits
   * as long as the request says; for the sender of a reservation, as long as that lives. Rejects with the
   * EssError to refuse it with, nothing being written yet.
   */
  async receive(exchange: Exchange, id: string): Promise<void> {
    await this.#receiverRequests.receive(exchange, id)
  }

  /** The socket that a receiver would meet, which this leaves untouched. Throws what `receive` would be refused with. */
  inspect(id: string): EphemeralSocket {
    const socket = this.#registry.find(id)
    socket.inspect()
    return socket
  }

  /**
   * No new sockets from now on; those that wait are told `shutting-down`, those that stream have `drainMs` to
   * finish and are failed then. Resolves when none is left.
   */
  async stop(drainMs: number): Promise<void> {
    this.#isStopping = true
    for (const socket of this.#registry.sockets()) if (socket.phase !== 'streaming') socket.shutDown()
    this.#registry.giveUpWaiting()
    const failTheRest = setTimeout(() => this.stopNow(), drainMs)
    await Promise.all(this.#registry.sockets().map((socket) => socket.ended))
    clearTimeout(failTheRest)
    await this.relay.close()
  }

  /** Fails whatever is left, truthfully, at once. */
  stopNow(): void {
    this.#isStopping = true
    for (const socket of this.#registry.sockets()) socket.shutDown()
    this.#registry.giveUpWaiting()
  }

  /** For embedders that stop: running transfers have `drain` seconds, 30 by default. Rejects with EssError `usage`. */
  async close(options: { drain?: number } = {}): Promise<void> {
    checkOptionNames('close', options, { drain: true }, nearestName)
    await this.stop(1000 * seconds('drain', options.drain ?? 30, 'zero too'))
  }

  /**
   * Asked by the routes before they look an id or a token up, which anybody may be guessing. Throws EssError
   * `too-many-requests`.
   */
  checkMisses(request: IncomingMessage): void {
    this.#limits.checkMisses(request)
  }

  /** The routes' way to tell of a refusal. */
  refused(error: EssError, request: IncomingMessage): void {
    if (error.code === 'not-found') this.#limits.missed(request)
    if (error.code === 'not-found' || error.code === 'gone')
      this.#listeners.tell('error:not-found', error, request)
    if (error.code === 'too-large') this.#listeners.tell('error:max-upload', error, request)
    if (error.code === 'bad-referer') this.#listeners.tell('error:referer', error, request)
    this.#listeners.tell('request:refused', error, request)
  }

  /** The embedder's own answer to a refused request; undefined where there is none, or it fails. */
  ownAnswer(error: EssError, request: IncomingMessage): ErrorAnswer | undefined {
    return this.#listeners.guarded('onError', () => this.options.onError?.(error, request))
  }

  #admit(socket: EphemeralSocket, segment: Segment, query: URLSearchParams): void {
    const isFirst = socket.phase === 'reserved'
    socket.admit(segment)
    this.#senderRequests.admitted(socket, segment)
    if (!isFirst) return
    this.#listeners.tell('socket:opened', socket, socket.id, query, segment.request)
    this.#senderRequests.watchForm(socket, segment)
  }

  #createSocket(id: string, ttl: Ttl, giveBack: () => void, fileName?: string): EphemeralSocket {
    const { maxUploadBytes, stallTimeoutMs, reservations, cors } = this.options
    const token = reservations ? randomBytes(16).toString('base64url') : undefined
    return new EphemeralSocket(
      {
        id,
        token,
        ...ttl,
        maxUploadBytes,
        stallTimeoutMs,
        relay: this.relay,
        progress: this.#statusStreams.progress,
        giveBack,
        cors,
      },
      this.#observer,
      fileName,
    )
  }

  #refuseWhenStopping(): void {
    if (this.#isStopping) throw new EssError('shutting-down', 'this server is stopping', { retryAfter: 30 })
  }

  #socketClosed(socket: Subject, stats: SocketStats): void {
    this.#registry.bury(socket.terms, stats.outcome)
    socket.terms.giveBack()
    if (stats.outcome === 'delivered') this.#listeners.tell('socket:end', socket, stats)
    else this.#listeners.tell(stats.outcome === 'expired' ? 'socket:timeout' : 'error:socket', socket, stats)
  }
}
