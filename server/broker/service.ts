import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket as Connection } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  downloadPath,
  EssError,
  joinUrl,
  type OpenedEvent,
  STATUS_VERSION,
  uploadEventsPath,
  uploadPath,
} from '../../shared/index.js'
import { checkOptionNames } from '../../shared/option-names.js'
import { FinalAnswer } from '../answer/final-answer.js'
import { Heartbeats } from '../answer/heartbeats.js'
import { ProgressClock } from '../answer/progress-clock.js'
import { requestedForm, StatusBody, type StatusTimers } from '../answer/status-body.js'
import { ClientLimits } from '../limits/client-limits.js'
import { Attachment } from '../node/attachment.js'
import { outliveHalfClose } from '../node/half-open.js'
import { outlastHost } from '../node/host-timeouts.js'
import { endGently } from '../node/linger.js'
import { SENDER_CLOSED_ITS_HALF } from '../relay/gears/pump.js'
import { RawBody } from '../relay/gears/raw-body.js'
import { gatherSmallChunks } from '../relay/gears/small-chunks.js'
import { checkEnd } from '../relay/length-trailer.js'
import { Relay } from '../relay/relay.js'
import { refuseUnauthorized } from '../request/access.js'
import { isForm, readForm } from '../request/multipart.js'
import { publicBaseUrl } from '../request/public-url.js'
import { asksForPart, refusePart } from '../request/range.js'
import {
  checkEarlyResponse,
  checkReferer,
  checkSender,
  checkSize,
  fileNameOf,
  readPayload,
  requestedTtl,
  requestedWaitMs,
  type Ttl,
} from '../request/sender.js'
import type { ServiceEvents, SocketInfo, SocketStats } from './events.js'
import { nearestName } from './nearest-name.js'
import {
  type Access,
  type ErrorAnswer,
  type ResolvedOptions,
  resolveOptions,
  type ServiceOptions,
  seconds,
} from './options.js'
import { Registry } from './registry.js'
import { EphemeralSocket, type SenderLeg, type SocketObserver } from './socket.js'

/** A request as a verb needs it: Node's own objects, because only they let a transfer end truthfully. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly query: URLSearchParams
}

/** One that is answered with links of ours. */
export interface Call extends Exchange {
  /** The path under which the service is mounted: empty, or like `/share`. */
  readonly basePath: string
}

/** What a reservation gives. */
export interface Reservation {
  readonly id: string
  /** The download URL, for the receiver. */
  readonly url: string
  /** The URL of the upload resource: the sender's alone. */
  readonly upload: string
  /** The URL of its status stream. */
  readonly events: string
  /** When it ends unless a receiver has come (RFC 3339). */
  readonly expires: string
  /** Seconds that were asked for; absent unless they were cut to the server's limit. */
  readonly ttlAsked?: number
}

/** How many receivers may wait for the sender of one reservation; only one will be served. */
const MAX_EARLY_RECEIVERS = 8

/** The broker without its routes: what can be done with sockets. */
export class Service extends EventEmitter<ServiceEvents> {
  readonly options: ResolvedOptions
  /** How it moves bytes. */
  readonly relay: Relay
  readonly #registry: Registry
  readonly #timers: StatusTimers
  readonly #limits: ClientLimits
  /** Requests that wait for a 100 (Continue) that Node has left to us. */
  readonly #heldBack = new WeakSet<IncomingMessage>()
  readonly #sending = new Attachment<
    Connection,
    { socket: EphemeralSocket; request: IncomingMessage; response: ServerResponse; isSpoiled: boolean }
  >('sending')
  readonly #earlyReceivers = new WeakMap<EphemeralSocket, number>()
  /** The same for all sockets: each says which one it is. */
  readonly #observer: SocketObserver = {
    connected: (socket, request) => {
      this.#registry.keep(socket)
      this.#tell('socket:connected', socket, request)
    },
    progress: (socket, bytes) => this.#tell('socket:progress', socket, bytes),
    closed: (socket, stats) => this.#socketClosed(socket, stats),
  }
  #isStopping = false

  constructor(options: ServiceOptions = {}) {
    super()
    this.options = resolveOptions(options)
    this.relay = new Relay(this.options.relay)
    this.#registry = new Registry(this.options)
    this.#timers = {
      heartbeats: new Heartbeats(this.options.heartbeatMs),
      progress: new ProgressClock(),
    }
    this.#limits = new ClientLimits(this.options)
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
    if (authorize !== undefined && this.#guarded('authorize', () => authorize(access, request)) !== true)
      refuseUnauthorized(access)
  }

  /** Says that this request's 100 (Continue) is for the service to send: see Node's event `checkContinue`. */
  holdContinue(request: IncomingMessage): void {
    this.#heldBack.add(request)
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
    const base = this.#base(call)
    checkEarlyResponse(request, base, this.options)
    checkSender(request, this.options)
    const ttl = requestedTtl(query, this.options.ttlMs)
    this.#registry.checkRoom()
    // A form is a socket only when its file was found, and until then it holds as much.
    const giveBack = this.#limits.take('sockets', request)
    let socket: EphemeralSocket | undefined
    try {
      outlastHost(request, response)
      const file = await this.#readFile(call, fileName)
      this.#refuseWhenStopping()
      if (hasEnded(call)) return
      socket = this.#createSocket(this.#registry.mint(), ttl, giveBack)
      const status = this.#statusBody(call, socket)
      this.#registry.add(socket)
      status.open(201, this.#opened(socket, base, file.payload.fileName))
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
    const base = this.#base(call)
    const ttl = requestedTtl(query, this.options.ttlMs)
    const fileName = fileNameOf({}, query, undefined)
    const id = this.#registry.mint()
    const share = this.#limits.takeReservation(request)
    const socket = this.#createSocket(id, ttl, share.giveBackSocket, fileName)
    // It never rejects: a reservation that ends has no sender to wait for either.
    void socket.senderCame.then(share.giveBackReservation)
    this.#registry.add(socket)
    this.#tell('socket:reserved', socket, socket.id, query, request)
    const { token = '' } = socket.terms
    return {
      id: socket.id,
      url: joinUrl(base, downloadPath(socket.id, fileName)),
      upload: joinUrl(base, uploadPath(token)),
      events: joinUrl(base, uploadEventsPath(token)),
      expires: new Date(socket.expiresAt).toISOString(),
      ...(ttl.askedTtlMs !== undefined && { ttlAsked: ttl.askedTtlMs / 1000 }),
    }
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
    if (!socket.mayMove()) socket.inspect('sender-arrived')
    outlastHost(request, response)
    const file = await this.#readFile(call, undefined)
    if (hasEnded(call)) return
    const sender: SenderLeg = {
      request,
      response,
      status: new FinalAnswer(request, response, this.options.cors),
      ...file,
    }
    if (!socket.mayMove()) this.#admit(socket, sender, query)
    else {
      socket.move(sender)
      this.#sending.set(request.socket, { socket, request, response, isSpoiled: false })
    }
  }

  /**
   * The status stream of an upload resource by itself: the state first. Throws EssError `not-found`, or
   * `over-share`, because who follows holds a connection for as long as who waits.
   */
  follow(call: Call, token: string): void {
    const { request, response } = call
    const socket = this.#registry.findUpload(token)
    const opened = this.#opened(socket, this.#base(call), socket.fileName)
    // It has left already, and nothing would be told of it any more.
    if (response.destroyed) return
    const giveBack = this.#limits.take('waiting', request)
    outlastHost(request, response)
    response.once('close', giveBack)
    const status = this.#statusBody(call, socket)
    status.open(200, opened)
    status.send(socket.state())
    socket.tell(status)
    response.once('close', () => {
      socket.forget(status)
      // Its heartbeat would go on for nobody.
      status.release()
    })
    // A follower sends nothing more; its going away is seen by reading on.
    request.resume()
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
    // Node types it so for 'clientError'; its servers never give anything but a Socket.
    const connection = duplex as Connection
    const sender = this.#sending.get(connection)
    if (sender === undefined || sender.response.writableFinished) return false
    const { socket, request, response } = sender
    // Its own end says that the sender left; what Node calls an error here is the reset, not its bytes.
    if (connection.destroyed) return true
    if (socket.hasAllOf(request)) {
      // Its own end, where it leaves no room for more: the verdict is still to come.
      if (error.code === 'HPE_INVALID_EOF_STATE') return true
    } else if (request.complete) {
      // What comes after a whole body is another request, and no reason to fail this one; only the connection is
      // of no more use.
      if (!sender.isSpoiled) response.once('finish', () => connection.destroySoon())
      sender.isSpoiled = true
    } else if (error.code === 'HPE_INVALID_EOF_STATE') {
      socket.breakOff(request, 'sender-lost', SENDER_CLOSED_ITS_HALF)
    } else {
      socket.breakOff(
        request,
        'bad-request',
        `Expected a body in HTTP/1.1 framing, got something else: ${error.message}`,
      )
    }
    return true
  }

  /**
   * A receiver's request meets its socket, and the bytes begin to move. Where the id is not there yet it waits
   * as long as the request says; for the sender of a reservation, as long as that lives. Rejects with the
   * EssError to refuse it with, nothing being written yet.
   */
  async receive(exchange: Exchange, id: string): Promise<void> {
    const { request, response, query } = exchange
    refusePipelined(response)
    // A body has no meaning here, but unread it would stand before the receiver's end, which is its confirmation. In
    // HTTP/2 that end is the stream's, and comes from both sides: it would be taken for the other side's too early.
    if (request.httpVersionMajor === 1) request.resume()
    const wantsPart = asksForPart(request, id)
    // A part is refused as soon as the link is there, so there is nothing to wait for.
    const waitMs = wantsPart ? 0 : requestedWaitMs(request, query, this.options.ttlMs)
    outlastHost(request, response)
    const socket = this.#registry.get(id) ?? (await this.#find(request, id, waitMs))
    if (wantsPart) {
      socket.inspect()
      refusePart(request)
    }
    if (socket.phase === 'reserved') await this.#awaitSender(socket, request)
    // Its receiver went away, during a wait or with its request: the socket is left for another.
    if (!request.socket.writable || hasEnded(exchange)) return
    socket.inspect()
    // Without chunked coding, a body of unknown length ends like a broken one: by the end of the connection.
    if (request.httpVersion === '1.0' && socket.contentLength === undefined) {
      throw new EssError(
        'http-version-not-supported',
        'Expected HTTP/1.1, because the length is not known; got HTTP/1.0',
      )
    }
    if (this.options.proxyHidesCuts) checkEnd(request, socket.contentLength)
    socket.receive({ request, response })
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
    if (error.code === 'not-found' || error.code === 'gone') this.#tell('error:not-found', error, request)
    if (error.code === 'too-large') this.#tell('error:max-upload', error, request)
    if (error.code === 'bad-referer') this.#tell('error:referer', error, request)
    this.#tell('request:refused', error, request)
  }

  /** The embedder's own answer to a refused request; undefined where there is none, or it fails. */
  ownAnswer(error: EssError, request: IncomingMessage): ErrorAnswer | undefined {
    return this.#guarded('onError', () => this.options.onError?.(error, request))
  }

  /** Takes the sender into its socket, and answers its `Expect: 100-continue`. */
  #admit(socket: EphemeralSocket, sender: SenderLeg, query: URLSearchParams): void {
    socket.admit(sender)
    this.#sending.set(sender.request.socket, {
      socket,
      request: sender.request,
      response: sender.response,
      isSpoiled: false,
    })
    this.#tell('socket:opened', socket, socket.id, query, sender.request)
    const { request, body } = sender
    // Of a form that is broken behind its file, its sender is told at once, and not when a receiver comes.
    if (body instanceof RawBody || body.stream === request) return
    const broken = (error: Error) => {
      if (error instanceof EssError && (error.code === 'bad-request' || error.code === 'no-file-in-form'))
        socket.breakOff(request, error.code, error.message)
    }
    if (body.stream.errored) broken(body.stream.errored)
    else body.stream.once('error', broken)
  }

  /** The file in a sender's request: the body itself, or a form's. The sender may send it from now on. */
  async #readFile(call: Call, fileName: string | undefined): Promise<Pick<SenderLeg, 'payload' | 'body'>> {
    const { request, response, query } = call
    outliveHalfClose(request, response, () => {
      this.#sending.get(request.socket)?.socket.senderClosedItsHalf(request)
    })
    // Before the head: a 100 after it would stand in the middle of the chunked body.
    if (this.#heldBack.delete(request)) response.writeContinue()
    if (!isForm(request)) {
      const payload = readPayload(request, query, fileName)
      const raw = this.relay.take(request, (detail) => {
        this.#sending.get(request.socket)?.socket.breakOff(request, 'bad-request', detail)
      })
      if (raw === undefined) {
        gatherSmallChunks(request)
        return { payload, body: { stream: request, isWhole: () => request.complete } }
      }
      // Node's parser will never see the end of this request, nor what may come after it.
      response.shouldKeepAlive = false
      endGently(request.socket)
      return { payload, body: raw }
    }
    gatherSmallChunks(request)
    const reading = readForm(request)
    // Listened to by now. A host's middleware may have paused it, to look something up.
    if (request.isPaused()) request.resume()
    const { payload, body } = await reading
    checkSize(payload.contentLength, this.options)
    return { payload: { ...payload, fileName: payload.fileName ?? fileNameOf({}, query, fileName) }, body }
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
        progress: this.#timers.progress,
        giveBack,
        cors,
      },
      this.#observer,
      fileName,
    )
  }

  #statusBody({ request, response }: Call, socket: EphemeralSocket): StatusBody {
    const { renderStatus } = this.options
    const render: ConstructorParameters<typeof StatusBody>[2]['render'] =
      renderStatus && ((event) => this.#guarded('renderStatus', () => renderStatus(event, socket)))
    const style = { form: requestedForm(request), render, cors: this.options.cors }
    return new StatusBody(request, response, style, this.#timers, socket)
  }

  #opened(socket: EphemeralSocket, base: string, fileName: string | undefined): OpenedEvent {
    const { id, token, ttlMs, askedTtlMs, maxUploadBytes } = socket.terms
    return {
      event: 'opened',
      v: STATUS_VERSION,
      id,
      url: joinUrl(base, downloadPath(id, fileName)),
      ...(token !== undefined && { upload: joinUrl(base, uploadPath(token)) }),
      ttl: ttlMs / 1000,
      ...(askedTtlMs !== undefined && { ttlAsked: askedTtlMs / 1000 }),
      expires: new Date(socket.expiresAt).toISOString(),
      maxUploadBytes,
    }
  }

  #base({ request, basePath }: Call): string {
    // The operator's own base URL has the path in it already.
    const base = publicBaseUrl(request, this.options)
    return this.options.baseUrl === undefined ? base + basePath : base
  }

  async #find(request: IncomingMessage, id: string, waitMs: number): Promise<EphemeralSocket> {
    try {
      return this.#registry.find(id)
    } catch (error) {
      const mayAppear =
        error instanceof EssError && error.code === 'not-found' && this.options.ids.matches(id)
      if (waitMs === 0 || !mayAppear) throw error
    }
    this.#refuseWhenStopping()
    const giveBack = this.#limits.take('waiting', request)
    await withLeaving(request, (left) => this.#registry.appears(id, waitMs, left)).finally(giveBack)
    this.#refuseWhenStopping()
    return this.#registry.find(id)
  }

  /** An early receiver waits for the sender, and burns nothing when it goes away. */
  async #awaitSender(socket: EphemeralSocket, request: IncomingMessage): Promise<void> {
    const waiting = this.#earlyReceivers.get(socket) ?? 0
    if (waiting >= MAX_EARLY_RECEIVERS)
      throw new EssError('busy', `${waiting} receivers are waiting for the sender already`)
    const giveBack = this.#limits.take('waiting', request)
    this.#earlyReceivers.set(socket, waiting + 1)
    await withLeaving(request, (left) => {
      const gone = new Promise<void>((resolve) =>
        left.addEventListener('abort', () => resolve(), { once: true }),
      )
      return Promise.race([socket.senderCame, gone])
    }).finally(giveBack)
    this.#earlyReceivers.set(socket, (this.#earlyReceivers.get(socket) ?? 1) - 1)
  }

  #refuseWhenStopping(): void {
    if (this.#isStopping) throw new EssError('shutting-down', 'this server is stopping', { retryAfter: 30 })
  }

  #socketClosed(socket: EphemeralSocket, stats: SocketStats): void {
    this.#registry.bury(socket, stats.outcome)
    socket.terms.giveBack()
    if (stats.outcome === 'delivered') this.#tell('socket:end', socket, stats)
    else this.#tell(stats.outcome === 'expired' ? 'socket:timeout' : 'error:socket', socket, stats)
  }

  /** Like `emit`, but a listener that fails breaks neither a transfer nor the other listeners. */
  #tell<E extends keyof ServiceEvents>(event: E, ...values: ServiceEvents[E]): void {
    for (const listener of this.rawListeners(event)) {
      this.#guarded(event, () => Reflect.apply(listener, this, values) as unknown)
    }
  }

  /** What an embedder's own code gives; undefined when it fails. */
  #guarded<T>(name: string, theirs: () => T): T | undefined {
    const failed = (error: unknown) => {
      const isHeard = name !== 'error:listener' && this.listenerCount('error:listener') > 0
      if (isHeard) this.#tell('error:listener', error, name)
      else process.emitWarning(error instanceof Error ? error : String(error))
    }
    try {
      const result = theirs()
      if (result instanceof Promise) result.catch(failed)
      return result
    } catch (error) {
      failed(error)
      return undefined
    }
  }
}

/** Runs `wait` with a signal that is aborted when the peer of this request goes away. */
async function withLeaving(
  request: IncomingMessage,
  wait: (left: AbortSignal) => Promise<void>,
): Promise<void> {
  const left = new AbortController()
  const leave = () => left.abort()
  request.socket.once('close', leave)
  try {
    await wait(left.signal)
  } finally {
    request.socket.off('close', leave)
  }
}

/**
 * Its peer has left, what came behind its head was malformed and is refused already, or a host that wouldn't wait for
 * us has answered it.
 */
function hasEnded({ request, response }: Exchange): boolean {
  return !request.socket.writable || response.headersSent
}

/** A request that was sent before the one ahead of it was answered would wait for a transfer to end, unseen. */
function refusePipelined(response: ServerResponse): void {
  if (response.socket === null)
    throw new EssError('bad-request', 'Expected one request at a time, got a pipelined one')
}
