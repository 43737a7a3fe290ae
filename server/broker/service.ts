import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Socket as Connection } from 'node:net'
import type { Duplex } from 'node:stream'
import { EssError } from '../../shared/index.js'
import { checkOptionNames } from '../../shared/option-names.js'
import type { ErrorAnswer } from '../answer/problem-response.js'
import { ClientLimits, type MachineLimits } from '../limits/client-limits.js'
import type { Place } from '../locator/locator.js'
import { Occurrence } from '../node/occurrence.js'
import type { NodeMoves } from '../nodes/moves.js'
import type { Nodes } from '../nodes/nodes.js'
import { Relay } from '../relay/relay.js'
import type { Access } from '../request/access.js'
import { refuseUnauthorized } from '../request/access.js'
import { knowsTag } from '../request/range.js'
import type { ServiceEvents, SocketInfo, SocketStats } from './events.js'
import type { Call, Exchange } from './exchange.js'
import { baseOf } from './links.js'
import { Listeners } from './listeners.js'
import { nearestName } from './nearest-name.js'
import { type ResolvedOptions, resolveOptions, type ServiceOptions, seconds } from './options.js'
import { ReceiverRequests } from './receiver-requests.js'
import { noUpload, Registry, type Room } from './registry.js'
import { type Reopened, Reopenings, type Upload } from './reopenings.js'
import { SenderBodies } from './sender-bodies.js'
import { type Reserved, SenderRequests, type UploadOffset } from './sender-requests.js'
import type { EphemeralSocket } from './socket.js'
import { StatusStreams } from './status-streams.js'
import type { SocketObserver, Subject } from './subject.js'

export type { Call, Exchange } from './exchange.js'
export type { Reservation } from './links.js'

/** The broker without its routes: everything that can be done with sockets. */
export class Service extends EventEmitter<ServiceEvents> {
  readonly options: ResolvedOptions
  /** Moves the bytes. */
  readonly relay: Relay
  readonly #registry: Registry
  readonly #limits: ClientLimits
  readonly #listeners = new Listeners(this)
  readonly #statusStreams: StatusStreams
  readonly #senderBodies: SenderBodies
  readonly #senderRequests: SenderRequests
  readonly #receiverRequests: ReceiverRequests
  readonly #reopenings: Reopenings
  /** One for all sockets: each call says which socket it is about. */
  readonly #observer: SocketObserver = {
    connected: (socket, request) => this.#listeners.tell('socket:connected', socket, request),
    interrupted: (socket, side) => this.#listeners.tell('socket:interrupted', socket, side),
    resumed: (socket, bytes) => this.#listeners.tell('socket:resumed', socket, bytes),
    progress: (socket, bytes) => this.#listeners.tell('socket:progress', socket, bytes),
    closed: (socket, stats) => this.#socketClosed(socket, stats),
  }
  #isStopping = false
  #nodes: Nodes | undefined
  /** Happens when nothing is waited for any more. */
  readonly #stopped = new Occurrence()

  constructor(options: ServiceOptions = {}) {
    super()
    this.options = resolveOptions(options)
    this.relay = new Relay(this.options.relay)
    this.#registry = new Registry(this.options)
    this.#limits = new ClientLimits(this.options)
    this.#statusStreams = new StatusStreams(this.options, this.#listeners)
    this.#senderBodies = new SenderBodies(this.options, this.relay)
    const parts = {
      options: this.options,
      relay: this.relay,
      registry: this.#registry,
      limits: this.#limits,
      listeners: this.#listeners,
      statusStreams: this.#statusStreams,
      senderBodies: this.#senderBodies,
      observer: this.#observer,
      refuseWhenStopping: () => this.#refuseWhenStopping(),
    }
    this.#senderRequests = new SenderRequests(parts)
    this.#receiverRequests = new ReceiverRequests(parts)
    this.#reopenings = new Reopenings(parts)
  }

  /** True until `stop` is called. */
  get isAccepting(): boolean {
    return !this.#isStopping
  }

  /** Counts the limits of clients together with other nodes or workers. Call it before the first request. */
  shareClients(others: MachineLimits): void {
    this.#limits.shareWith(others)
  }

  /** Counts sockets and early receivers together with the machine's other processes. Call it before the first request. */
  shareRoom(room: Room): void {
    this.#registry.shareRoom(room)
  }

  /** Refuses the lookups of a client that has missed too often at the machine's other processes. */
  shutOut(client: string, forMs: number): void {
    this.#limits.shutOut(client, forMs)
  }

  /** The other nodes of this service's cluster; undefined for a service that is alone. */
  get nodes(): Nodes | undefined {
    return this.#nodes
  }

  /** From now on this service is one of several nodes. Call it before the first request, and before `listen`. */
  join(nodes: Nodes): void {
    this.#nodes = nodes
    this.#registry.join(nodes)
    nodes.moves?.onLost((id, hasEnded) => this.#lost(id, hasEnded))
  }

  /** How much the service holds in memory, by kind. `held` counts everything that takes a share of a client's. */
  counts(): { sockets: number; uploads: number; tombstones: number; awaiting: number; held: number } {
    return { ...this.#registry.counts(), held: this.#limits.held }
  }

  /**
   * The sockets that have not ended. Their ids are cut to four characters unless `ids` is true, because anyone who has
   * an id can download the file. Throws EssError `usage` for another option.
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
   * Ends a socket, and both sides are told `cancelled`. With a signal, the socket ends when that is aborted. False if
   * there is no such socket, or it has ended.
   */
  cancel(id: string, signal?: AbortSignal): boolean {
    const socket = this.#registry.sockets().find((candidate) => candidate.id === id)
    if (socket === undefined) return false
    const cancel = () => socket.cancel('The server cancelled this transfer, so its link no longer works.')
    if (signal === undefined || signal.aborted) cancel()
    else {
      signal.addEventListener('abort', cancel, { once: true })
      void socket.ended.then(() => signal.removeEventListener('abort', cancel))
    }
    return true
  }

  /** Throws EssError `unauthorized` unless the option `authorize` returns true for this request. */
  authorize(access: Access, request: IncomingMessage): void {
    const { authorize } = this.options
    if (authorize === undefined) return
    // If the embedder's function throws, this is undefined, and the request is refused.
    const isAllowed = this.#listeners.guarded('authorize', () => authorize(access, request))
    if (isAllowed !== true) refuseUnauthorized(access)
  }

  /** Leaves this request's 100 (Continue) to the service: see Node's event `checkContinue`. */
  holdContinue(request: IncomingMessage): void {
    this.#senderBodies.holdContinue(request)
  }

  /**
   * Makes a socket of a sender's request. The early response goes out at once (for a form, when its file was found) and
   * stays open until the verdict. `fileName` is the one in the path, decoded. Rejects with an EssError; then nothing is
   * written yet, and the caller refuses the request.
   */
  async open(call: Call, fileName?: string): Promise<void> {
    await this.#senderRequests.open(call, fileName)
  }

  /**
   * Makes a socket whose sender comes later, to its upload resource. Throws the EssError to refuse the request with.
   */
  reserve(call: Call): Reserved {
    return this.#senderRequests.reserve(call)
  }

  /**
   * Takes the sender of a reservation, who is answered at the end. A sender with an early response may come here, too,
   * while no byte of its first body has been read, because a proxy holds that body back. Rejects with the EssError to
   * refuse the request with.
   */
  async upload(call: Call, token: string): Promise<void> {
    await this.#senderRequests.upload(call, token)
  }

  /**
   * Takes a piece of a sender's file, or the rest after a cut: draft-ietf-httpbis-resumable-upload, section 4.4. It is
   * answered at its end. Rejects with the EssError to refuse the request with.
   */
  async append(call: Call, token: string): Promise<void> {
    await this.#senderRequests.append(call, token)
  }

  /**
   * Where a sender has to go on (section 4.3). Its request that is there, if there is one, is given up first. Rejects
   * with EssError `not-found`, `rewound`, or `method-not-allowed` where resuming is off.
   */
  async offsetOf(call: Call, token: string): Promise<UploadOffset> {
    return await this.#senderRequests.offsetOf(call, token)
  }

  /**
   * What a sender is told that opens its link again, where the link is here. Rejects with EssError `not-found`, `gone`,
   * or `node-away` if it went on at another node.
   */
  async reopened(call: Call, upload: Upload): Promise<Reopened> {
    // Alone, a server has no link that another one had.
    if (this.#nodes?.moves === undefined) throw noUpload()
    return await this.#reopenings.reopened(call, upload)
  }

  /**
   * Opens a link again that no node has any more, as its sender says that it was. Resolves to undefined if another node
   * was quicker. The one at `letGoBy` has said that it doesn't have it any more. Rejects with the EssError to refuse the
   * request with.
   */
  async reopen(
    call: Call,
    upload: Upload,
    moves: NodeMoves,
    letGoBy: Place | undefined,
  ): Promise<Reopened | undefined> {
    return await this.#reopenings.reopen(call, upload, moves, letGoBy)
  }

  /**
   * Answers with the status stream of an upload resource, beginning with its state. Throws EssError `not-found`, or
   * `over-share`, because a follower holds a connection for as long as a receiver that waits.
   */
  follow(call: Call, token: string): void {
    const verdict = this.#registry.verdictOf(token)
    if (verdict !== undefined) {
      this.#statusStreams.tellVerdict(call, verdict)
      return
    }
    const socket = this.#registry.findUpload(token)
    const base = baseOf(call, this.options)
    // A follower that has left already would be told nothing.
    if (call.response.destroyed) return
    this.#statusStreams.follow(call, socket, base, this.#limits.take('waiting', call.request))
  }

  /** Cancels a socket for its sender. Throws EssError `not-found`. */
  cancelUpload(token: string): void {
    this.#registry.findUpload(token).cancel()
  }

  /**
   * Call it when a connection brings something that isn't HTTP: see Node's event `clientError`. If a sender's body was
   * coming, its socket fails and the sender is told. True for such a connection, even if its transfer is over.
   */
  breakOff(duplex: Duplex, error: NodeJS.ErrnoException): boolean {
    if (this.#senderBodies.breakOff(duplex, error)) return true
    // As there: it is a connection.
    const connection = duplex as Connection
    const how = error.code === 'HPE_INVALID_EOF_STATE' ? 'end' : 'bad bytes'
    return !connection.destroyed && this.#nodes?.breakOff(connection, how) === true
  }

  /**
   * Brings a receiver's request to its socket, and the bytes begin to move. If the id doesn't exist yet, the receiver
   * waits as long as its request says; for the sender of a reservation, as long as that lives. Rejects with an
   * EssError; then nothing is written yet, and the caller refuses the request.
   */
  async receive(exchange: Exchange, id: string): Promise<void> {
    await this.#receiverRequests.receive(exchange, id)
  }

  /**
   * The receiver of this id stops for good: its sender is told at once, and doesn't wait for it. Throws EssError
   * `not-found` or `gone`.
   */
  giveUp(id: string): void {
    this.#registry.find(id).giveUp()
  }

  /**
   * The receiver of this id has all of these bytes, and they are safe. Throws EssError `not-found` or `gone`, or
   * `bad-request` if it can't have them.
   */
  confirm(id: string, bytes: number): void {
    this.#registry.find(id).confirm(bytes)
  }

  /**
   * Waits as a receiver would, but no longer than this request says: until the id exists and, for a reservation, until
   * its sender has come or it is known whether the file is sealed or a bundle. It uses nothing up, and doesn't say how
   * it ended: call `inspect` afterwards. Rejects with the EssError to refuse the request with.
   */
  async awaitNews(exchange: Exchange, id: string): Promise<void> {
    await this.#receiverRequests.awaitNews(exchange, id)
  }

  /**
   * Waits for a link that is between two nodes, for a short time, until it is open again on one of them. It doesn't say
   * whether it is. A client for which there is no room waits no longer.
   */
  async awaitReopening(exchange: Exchange, id: string): Promise<void> {
    await this.#receiverRequests.awaitReopening(exchange, id)
  }

  /** True if a socket has this id. */
  has(id: string): boolean {
    return this.#registry.get(id) !== undefined
  }

  /**
   * The socket that a receiver would meet, left as it is. Throws the refusal that the receiver would meet. A `request` that
   * knows the link's tag may be that of a receiver that comes back, so the one that is there is no reason to refuse it.
   */
  inspect(id: string, request?: IncomingMessage): EphemeralSocket {
    const socket = this.#registry.find(id)
    const mayComeBack = socket.lowestReturn !== undefined && request !== undefined && knowsTag(request, id)
    if (!mayComeBack) socket.inspect()
    return socket
  }

  /**
   * Takes no new sockets. Waiting senders are told `shutting-down`; running transfers have `drainMs` to finish, and
   * then they fail. In a cluster, those that can go on at another node are moved instead: at once, or when their time is
   * over if their receiver may not know how to come back. Resolves when no socket is left.
   */
  async stop(drainMs: number): Promise<void> {
    this.#isStopping = true
    for (const socket of this.#registry.sockets()) {
      if (this.hasOthers && socket.canMoveAtOnce) socket.move()
      else if (socket.phase !== 'streaming' && socket.phase !== 'interrupted') this.#end(socket)
    }
    this.#registry.giveUpWaiting()
    const failTheRest = setTimeout(() => this.stopNow(), drainMs)
    await Promise.all(this.#registry.sockets().map((socket) => socket.ended))
    if (this.#nodes !== undefined) await Promise.race([this.#nodes.whenIdle(), this.#stopped.promise])
    clearTimeout(failTheRest)
    await this.relay.close()
  }

  /** Fails all sockets at once, or moves them, and tells both sides. */
  stopNow(): void {
    this.#isStopping = true
    for (const socket of this.#registry.sockets()) this.#end(socket)
    this.#registry.giveUpWaiting()
    this.#stopped.happen()
  }

  /** `stop` for embedders. Running transfers have `drain` seconds, 30 by default. Rejects with EssError `usage`. */
  async close(options: { drain?: number } = {}): Promise<void> {
    checkOptionNames('close', options, { drain: true }, nearestName)
    await this.stop(1000 * seconds('drain', options.drain ?? 30, 'zero too'))
  }

  /**
   * The routes call it before they look up an id or a token, because the client may be guessing. Throws EssError
   * `too-many-requests`.
   */
  checkMisses(request: IncomingMessage): void {
    this.#limits.checkMisses(request)
  }

  /** The routes call it for every refusal. */
  refused(error: EssError, request: IncomingMessage): void {
    if (error.code === 'not-found') this.#limits.missed(request)
    if (error.code === 'not-found' || error.code === 'gone')
      this.#listeners.tell('error:not-found', error, request)
    if (error.code === 'too-large') this.#listeners.tell('error:max-upload', error, request)
    if (error.code === 'bad-referer') this.#listeners.tell('error:referer', error, request)
    this.#listeners.tell('request:refused', error, request)
  }

  /** The embedder's own answer to a refused request; undefined if there is none, or `onError` throws. */
  ownAnswer(error: EssError, request: IncomingMessage): ErrorAnswer | undefined {
    return this.#listeners.guarded('onError', () => this.options.onError?.(error, request))
  }

  /** True for a node of a cluster, where another one takes what this one refuses. */
  get hasOthers(): boolean {
    return this.#nodes?.moves !== undefined
  }

  /** This node was missed for a while, and the link was opened again at another one: what is left of it here is over. */
  #lost(id: string, hasEnded: boolean): void {
    const socket = this.#registry.get(id)
    if (socket === undefined) return
    // A verdict on what happened here would be wrong: the other node has the true one.
    if (socket.canMove) socket.move()
    else socket.cancel('This transfer went on at another part of the server, and is over here.')
    if (hasEnded) this.#registry.buryMoved(id)
  }

  /** Because this service stops. */
  #end(socket: EphemeralSocket): void {
    if (this.hasOthers && socket.canMove) socket.move()
    else socket.shutDown()
  }

  #refuseWhenStopping(): void {
    if (this.#isStopping)
      throw new EssError('shutting-down', 'This server is stopping and takes nothing new.', {
        retryAfter: this.hasOthers ? 1 : 30,
      })
  }

  #socketClosed(socket: Subject, stats: SocketStats): void {
    this.#registry.bury(socket, stats)
    socket.terms.giveBack()
    if (stats.outcome === 'moved') this.#listeners.tell('socket:moved', socket, stats)
    else if (stats.outcome === 'delivered') this.#listeners.tell('socket:end', socket, stats)
    else this.#listeners.tell(stats.outcome === 'expired' ? 'socket:timeout' : 'error:socket', socket, stats)
  }
}
