import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket as Connection } from 'node:net'
import { downloadPath, EssError, isSocketId, joinUrl, STATUS_VERSION } from '../shared/index.js'
import type { ServiceEvents, SocketInfo, SocketStats } from './events.js'
import { type Opening, readOpening, requestedWaitMs } from './opening.js'
import { type ResolvedOptions, resolveOptions, type ServiceOptions } from './options.js'
import { publicBaseUrl } from './public-url.js'
import { Registry } from './registry.js'
import { EphemeralSocket } from './socket.js'
import { StatusBody } from './status-body.js'

/**
 * The broker without its routes: what can be done with sockets. It answers on Node's own request and response
 * objects, because only they let a transfer end truthfully.
 */
export class Service extends EventEmitter<ServiceEvents> {
  readonly options: ResolvedOptions
  readonly #registry: Registry
  /** Requests that wait for a 100 (Continue) that Node has left to us. */
  readonly #heldBack = new WeakSet<IncomingMessage>()
  readonly #bySenderConnection = new WeakMap<
    Connection,
    { socket: EphemeralSocket; request: IncomingMessage; response: ServerResponse; isSpoiled: boolean }
  >()
  #isStopping = false

  constructor(options: ServiceOptions = {}) {
    super()
    this.options = resolveOptions(options)
    this.#registry = new Registry(this.options)
  }

  /** True until `stop` is called. */
  get isAccepting(): boolean {
    return !this.#isStopping
  }

  /** What the service holds in memory, by kind. */
  counts(): { sockets: number; tombstones: number; awaiting: number } {
    return this.#registry.counts()
  }

  /** Says that this request's 100 (Continue) is for `open` to send: see Node's event `checkContinue`. */
  holdContinue(request: IncomingMessage): void {
    this.#heldBack.add(request)
  }

  /**
   * A sender's request becomes a socket: the early response goes out at once, and stays open until the verdict.
   * `fileName` is the one in the path, decoded. Throws the EssError to refuse it with, nothing being written yet.
   */
  open(
    senderRequest: IncomingMessage,
    senderResponse: ServerResponse,
    query: URLSearchParams,
    fileName?: string,
  ): void {
    this.#refuseWhenStopping()
    refusePipelined(senderResponse)
    const base = publicBaseUrl(senderRequest, this.options)
    const opening = readOpening(senderRequest, query, fileName, this.options)
    const id = this.#registry.mint()
    // Before the head: a 100 after it would stand in the middle of the chunked body.
    if (this.#heldBack.delete(senderRequest)) senderResponse.writeContinue()
    const socket = this.#createSocket(id, opening, senderRequest, senderResponse, base)
    this.#registry.add(socket)
    this.#bySenderConnection.set(senderRequest.socket, {
      socket,
      request: senderRequest,
      response: senderResponse,
      isSpoiled: false,
    })
    this.emit('socket:opened', socket)
  }

  /**
   * What comes on this connection is not HTTP any more: if a sender's body was coming on it, its socket fails,
   * and the sender is told. True if that was so, even if it is over. See Node's event `clientError`.
   */
  breakOff(connection: Connection, error: NodeJS.ErrnoException): boolean {
    const sender = this.#bySenderConnection.get(connection)
    if (sender === undefined || sender.response.writableFinished) return false
    const { socket, request, response } = sender
    if (request.complete) {
      // What comes after a whole body is another request, and no reason to fail this one; only the connection is
      // of no more use.
      if (!sender.isSpoiled) response.once('finish', () => connection.destroySoon())
      sender.isSpoiled = true
      return true
    }
    if (error.code === 'HPE_INVALID_EOF_STATE') {
      socket.breakOff('sender-lost', 'the sender closed its half of the connection before its body was whole')
    } else {
      socket.breakOff(
        'bad-request',
        `Expected a body in HTTP/1.1 framing, got something else: ${error.message}`,
      )
    }
    return true
  }

  #createSocket(
    id: string,
    { payload, ttlMs }: Opening,
    request: IncomingMessage,
    response: ServerResponse,
    base: string,
  ): EphemeralSocket {
    const { maxUploadBytes, stallTimeoutMs, heartbeatMs } = this.options
    const status = new StatusBody(request, response)
    const socket = new EphemeralSocket(
      id,
      payload,
      { request, response, status },
      { ttlMs, maxUploadBytes, stallTimeoutMs },
      { connected: this.#socketConnected, closed: this.#socketClosed },
    )
    status.open(
      {
        event: 'opened',
        v: STATUS_VERSION,
        id,
        url: joinUrl(base, downloadPath(id, payload.fileName)),
        ttl: ttlMs / 1000,
        expires: new Date(socket.openedAt + ttlMs).toISOString(),
        maxUploadBytes,
      },
      heartbeatMs,
    )
    return socket
  }

  /**
   * A receiver's request meets its socket, and the bytes begin to move. Where the id is not there yet it waits
   * as long as the request says. Rejects with the EssError to refuse it with, nothing being written yet.
   */
  async receive(
    receiverRequest: IncomingMessage,
    receiverResponse: ServerResponse,
    query: URLSearchParams,
    id: string,
  ): Promise<void> {
    refusePipelined(receiverResponse)
    refuseRange(receiverRequest)
    const socket = await this.#find(receiverRequest, query, id)
    // Its receiver went away, during a wait or with its request: the socket is left for another.
    if (!receiverRequest.socket.writable) return
    // Without chunked coding, a body of unknown length ends like a broken one: by the end of the connection.
    if (receiverRequest.httpVersion === '1.0' && socket.contentLength === undefined) {
      throw new EssError(
        'http-version-not-supported',
        'Expected HTTP/1.1, because the length is not known; got HTTP/1.0',
      )
    }
    socket.receive({ request: receiverRequest, response: receiverResponse })
  }

  async #find(
    receiverRequest: IncomingMessage,
    query: URLSearchParams,
    id: string,
  ): Promise<EphemeralSocket> {
    const waitMs = requestedWaitMs(receiverRequest, query, this.options.ttlMs)
    try {
      return this.#registry.find(id)
    } catch (error) {
      const mayAppear = error instanceof EssError && error.code === 'not-found' && isSocketId(id)
      if (waitMs === 0 || !mayAppear) throw error
    }
    this.#refuseWhenStopping()
    const left = new AbortController()
    const leave = () => left.abort()
    receiverRequest.socket.once('close', leave)
    await this.#registry.appears(id, waitMs, left.signal)
    receiverRequest.socket.off('close', leave)
    this.#refuseWhenStopping()
    return this.#registry.find(id)
  }

  /** The head of a download without consuming it. Throws what `receive` would be refused with. */
  inspect(id: string): Record<string, string | number> {
    const socket = this.#registry.find(id)
    socket.inspect()
    return socket.downloadHeaders()
  }

  /**
   * No new sockets from now on; those that wait are told `shutting-down`, those that stream have `drainMs` to
   * finish and are failed then. Resolves when none is left.
   */
  async stop(drainMs: number): Promise<void> {
    this.#isStopping = true
    for (const socket of this.#registry.sockets()) if (socket.phase === 'waiting') socket.shutDown()
    this.#registry.giveUpWaiting()
    if (this.#registry.counts().sockets === 0) return
    await new Promise<void>((resolve) => {
      const failTheRest = setTimeout(() => this.stopNow(), drainMs)
      const countDown = () => {
        if (this.#registry.counts().sockets > 0) return
        clearTimeout(failTheRest)
        this.off('socket:end', countDown)
        resolve()
      }
      this.on('socket:end', countDown)
    })
  }

  /** Fails whatever is left, truthfully, at once. */
  stopNow(): void {
    this.#isStopping = true
    for (const socket of this.#registry.sockets()) socket.shutDown()
    this.#registry.giveUpWaiting()
  }

  #refuseWhenStopping(): void {
    if (this.#isStopping) throw new EssError('shutting-down', 'this server is stopping', { retryAfter: 30 })
  }

  readonly #socketConnected = (socket: EphemeralSocket): void => {
    this.#registry.keep(socket)
    this.emit('socket:connected', socket)
  }

  readonly #socketClosed = (socket: EphemeralSocket, stats: SocketStats): void => {
    this.#registry.bury(socket, stats.outcome)
    this.emit('socket:end', socket satisfies SocketInfo, stats)
  }
}

/** A request that was sent before the one ahead of it was answered would wait for a transfer to end, unseen. */
function refusePipelined(response: ServerResponse): void {
  if (response.socket === null)
    throw new EssError('bad-request', 'Expected one request at a time, got a pipelined one')
}

/**
 * A socket gives its bytes once, from the first on. Who asks for the rest of a broken download would burn the
 * link with a whole one it does not want; `bytes=0-` is how some clients ask for all of it.
 */
function refuseRange({ headers }: IncomingMessage): void {
  const { range } = headers
  if (range === undefined || /^\s*bytes\s*=\s*0-\s*$/i.test(range)) return
  throw new EssError(
    'range-not-satisfiable',
    `Expected a request for the whole, got ${JSON.stringify(range)}`,
  )
}
