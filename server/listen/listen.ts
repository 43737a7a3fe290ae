import { createServer, IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { EssError, ROUTES } from '../../shared/index.js'
import { checkOptionNames, kindOf } from '../../shared/option-names.js'
import { problemAsBytes, sendProblem } from '../answer/problem-response.js'
import { nearestName } from '../broker/nearest-name.js'
import { wholeNumber } from '../broker/options.js'
import { Service } from '../broker/service.js'
import type { EmbeddedService } from '../embed.js'
import { type Answers, http2Side } from '../http2/server.js'
import { limitConnections, MAX_CONNECTIONS_PER_CLIENT } from '../limits/connection-limit.js'
import { Attachment } from '../node/attachment.js'
import { drainThenDestroy } from '../node/linger.js'
import { setOptionsOnce } from '../node/listening-options.js'
import { lookRegularly, UnreadConnections, unreadMs } from '../node/unread.js'
import { checkHead } from '../request/request-head.js'
import { ALLOWED_METHODS } from '../routes/addresses.js'
import { HSTS_MAX_AGE, sayHsts } from './hsts.js'
import { type CertificateReport, type TlsOptions, watchCertificate } from './tls.js'
import { secure } from './tls-front.js'

/** How long a client may take to send its request's head; a connection that says nothing is one of those. */
const HEADERS_TIMEOUT_MS = 25_000

/** How often Node looks for those who took longer. Its default, 30 s, would be added to that time. */
const CHECKING_INTERVAL_MS = 5_000

/** How much of a body Node reads before anybody wants it. */
const READ_AHEAD_BYTES = 16 * 1024

/** How long a connection may be silent before the kernel asks whether its peer is still there. */
const KEEP_ALIVE_PROBE_MS = 30_000

/** How long the rest of a body may take whose request is answered already. */
const REST_OF_BODY_MS = 2000

/** How long connections that are being closed gently have left when the server itself is done. */
const LAST_WORDS_MS = 2500

/** Where to listen. */
export interface ListenOptions {
  /** An address or a name; 127.0.0.1 by default, which only this machine reaches. */
  readonly host?: string
  /** 0 takes any free one; 9000 by default. */
  readonly port?: number
  /** Serves HTTPS with this certificate; plain HTTP without it. */
  readonly tls?: TlsOptions
  /**
   * Connections of one client at the same time, 192 by default, 0 for no limit; one more is refused with 429
   * `over-share`, or without a word where it has TLS. Those of a proxy in the service's `trustProxy` are not counted.
   */
  readonly maxConnectionsPerClient?: number
}

const LISTEN_OPTIONS = {
  host: true,
  port: true,
  tls: true,
  maxConnectionsPerClient: true,
} as const satisfies Record<keyof ListenOptions, true>

const TLS_OPTIONS = {
  certFile: true,
  keyFile: true,
  minVersion: true,
  hstsMaxAge: true,
  onReload: true,
} as const satisfies Record<keyof TlsOptions, true>

/** A server that listens. */
export interface Listening {
  /** Its own address as a URL, with the real port. */
  readonly url: string
  readonly port: number
  /** What is said of its certificate; undefined without TLS. */
  readonly certificate: CertificateReport | undefined
  /** Reads the certificate's files again at once, where there are any. */
  reload(): Promise<void>
  /**
   * Stops politely: waiting senders are told, running transfers have `drainMs` to finish, then are failed.
   * Resolves when the last connection is closed.
   */
  stop(drainMs: number): Promise<void>
  /** Stops at once; what runs is failed, truthfully. */
  stopNow(): Promise<void>
}

/**
 * Serves a service over HTTP/1.1, or with TLS over HTTP/2 as well. Rejects with Node's own error where the address cannot
 * be had, with what is wrong with it where the certificate is of no use, and with EssError `usage` where an option is.
 */
export async function listen(service: EmbeddedService, options: ListenOptions = {}): Promise<Listening> {
  checkCall(service, options)
  const { host = '127.0.0.1', port = 9000 } = options
  const most = wholeNumber(
    'maxConnectionsPerClient',
    options.maxConnectionsPerClient ?? MAX_CONNECTIONS_PER_CLIENT,
    0,
    'connections',
  )
  const hstsMaxAge = wholeNumber('hstsMaxAge', options.tls?.hstsMaxAge ?? HSTS_MAX_AGE, 0, 'seconds')
  const answer = service.handler
  const { cors, trust, stallTimeoutMs } = service.options
  const certificate = options.tls === undefined ? undefined : await watchCertificate(options.tls)
  /** What is answered last on a connection, as far as it has been asked. */
  const latest = new Attachment<Socket, ServerResponse>('latest response')
  const answerMs = unreadMs(stallTimeoutMs)
  const unread = new UnreadConnections(answerMs)
  const mayAsk = (request: IncomingMessage, response: ServerResponse) => {
    latest.set(request.socket, response)
    if (options.tls !== undefined) sayHsts(request, response, hstsMaxAge)
    return unread.asked(request.socket, response)
  }
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    if (!mayAsk(request, response)) return
    endAfterAnswer(request, response)
    try {
      checkHead(request)
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      refuse(request, response, error)
      return
    }
    answer(request, response)
  }
  const refuse = (request: IncomingMessage, response: ServerResponse, error: EssError) => {
    service.refused(error, request)
    sendProblem(request, response, cors, error)
  }
  const answers: Answers = {
    request: handle,
    // Whether the body may come is decided first: a refused upload costs no bytes.
    checkContinue: (request, response: ServerResponse) => {
      service.holdContinue(request)
      handle(request, response)
    },
    checkExpectation: (request, response: ServerResponse) => {
      if (!mayAsk(request, response)) return
      const expected = `Expected 100-continue or nothing, got ${JSON.stringify(request.headers.expect)}`
      refuse(request, response, new EssError('expectation-failed', expected))
    },
    connect: (request, response: ServerResponse) => {
      service.refused(NO_TUNNEL, request)
      sendProblem(request, response, cors, NO_TUNNEL, { Allow })
    },
  }
  const server = createServer(
    {
      // The default, 300 s, would cut a long upload even while it flows; 0 means none, and the head has its own.
      requestTimeout: 0,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: CHECKING_INTERVAL_MS,
      // Node's own refusal (RFC 9112, 3.2) has no body; ours says what was expected.
      requireHostHeader: false,
      // Node reads a waiting sender's body ahead, this far and to the end of the read that passes it. Its default
      // is 64 KiB since Node 22, which makes that two reads, 128 KiB a sender, instead of one.
      highWaterMark: READ_AHEAD_BYTES,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    },
    handle,
  )
  server.on('checkContinue', answers.checkContinue)
  server.on('checkExpectation', answers.checkExpectation)
  // Where nobody listens, Node closes the connection without a word.
  server.on('connect', (request, connection) => {
    service.refused(NO_TUNNEL, request)
    endInTurn(connection as Socket, latest.get(request.socket), NO_TUNNEL, { Allow })
  })
  server.on('clientError', (error, connection) => answerBroken(service, error, connection as Socket))
  if (certificate !== undefined) service.relay.goByStreamsOnly()
  const http2 = certificate && http2Side(answers, answerMs)
  // Before TLS is: it hands on the connection that it makes of the one below.
  server.on('connection', (connection) => unread.watch(connection))
  const front = certificate && http2 && secure(server, certificate, { h2: http2.speak })

  limitConnections(server, {
    most,
    trust,
    refuse: (connection, problem) => {
      service.refused(problem, new IncomingMessage(connection))
      if (certificate === undefined) refuseBare(connection, problem)
      else connection.destroy()
    },
  })

  await service.relay.ready()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  }).catch((error: unknown) => {
    certificate?.close()
    throw error
  })

  setOptionsOnce(server, KEEP_ALIVE_PROBE_MS / 1000)
  // A server that listens on TCP has this kind of address.
  const address = server.address() as AddressInfo
  const closed = new Promise<void>((resolve) => server.once('close', resolve))
  const stopLooking = lookRegularly(answerMs, () => unread.look())

  async function close(): Promise<void> {
    stopLooking()
    server.close()
    server.closeIdleConnections()
    front?.close()
    http2?.close()
    const deadline = setTimeout(() => {
      server.closeAllConnections()
      http2?.closeAll()
    }, LAST_WORDS_MS)
    await closed
    clearTimeout(deadline)
    certificate?.close()
  }

  const scheme = certificate === undefined ? 'http' : 'https'
  return {
    url: `${scheme}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    port: address.port,
    certificate: certificate?.report(),
    reload: async () => await certificate?.reload(),
    stop: async (drainMs) => {
      await service.stop(drainMs)
      await close()
    },
    stopNow: async () => {
      service.stopNow()
      await close()
      await service.relay.close()
    },
  }
}

/** Throws EssError `usage` for what a caller without types may get wrong. */
function checkCall(service: unknown, options: ListenOptions): void {
  if (!(service instanceof Service) || !('handler' in service)) {
    const wanted = 'expected a service as createService() returns it, and then the options'
    throw new EssError('usage', `listen: ${wanted}; got ${kindOf(service)}`)
  }
  checkOptionNames('listen', options, LISTEN_OPTIONS, nearestName)
  if (options.tls !== undefined) checkOptionNames('listen, tls', options.tls, TLS_OPTIONS, nearestName)
}

/** What takes files, which is where CONNECT asks nothing of. */
const Allow = ALLOWED_METHODS[ROUTES.root]
const NO_TUNNEL = new EssError('method-not-allowed', `Expected one of ${Allow}, got CONNECT`)

/** Connections that were told why they end, and whose last bytes nobody wants. */
const answered = new WeakSet<Socket>()

/** Answers what Node could not read as HTTP; also called for every connection that broke. */
function answerBroken(service: Service, error: NodeJS.ErrnoException, connection: Socket): void {
  // Node goes on to read what it could not understand, and says so each time.
  if (connection.destroyed || answered.has(connection)) return
  if (service.breakOff(connection, error)) return
  // After a response there is nothing to answer; the peer is told by the end of the connection.
  if (connection.writable && connection.bytesWritten === 0) {
    answered.add(connection)
    const problem = brokenRequest(error)
    // There is no request to tell of: an empty one says whose it was. Who left in the middle was not refused; if that was
    // a body, its request tells of it.
    if (error.code !== 'HPE_INVALID_EOF_STATE') service.refused(problem, new IncomingMessage(connection))
    endBare(connection, problem)
  } else connection.destroy()
}

/** As `endBare`, when what was asked before is answered: a transfer, it may be, which none of this is in. */
function endInTurn(
  connection: Socket,
  ahead: ServerResponse | undefined,
  problem: EssError,
  headers: Readonly<Record<string, string>>,
): void {
  if (ahead === undefined || ahead.writableFinished) {
    endBare(connection, problem, headers)
    return
  }
  // Node reads no more of it, which is how its peer's end is noticed; and an error that nobody hears is a crash.
  connection.on('error', () => undefined).resume()
  ahead.once('finish', () => {
    if (connection.writable) endBare(connection, problem, headers)
  })
}

/** Answers on a connection that has no response object, and ends it. */
function endBare(connection: Socket, problem: EssError, headers?: Readonly<Record<string, string>>): void {
  // That its peer has left is no reason to crash, and nobody else listens after CONNECT.
  connection.on('error', () => undefined)
  connection.end(problemAsBytes(problem, headers))
  // A peer that never closes its half, or that is not read because its body was left waiting, would keep it open.
  drainThenDestroy(connection)
}

/** Answers on a connection that nobody has read, and closes it as soon as that is out: one more must not be held. */
function refuseBare(connection: Socket, problem: EssError): void {
  connection.on('error', () => undefined)
  connection.write(problemAsBytes(problem, { 'Retry-After': String(problem.retryAfter) }))
  connection.destroySoon()
}

/**
 * A request may be answered before its body is there, and its sender take for ever over that: the connection, which
 * is kept for the next request, is ended gently when the rest has not come in time.
 */
function endAfterAnswer(request: IncomingMessage, response: ServerResponse): void {
  const { headers, socket: connection } = request
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (!hasBody || request.httpVersionMajor !== 1) return
  response.once('finish', () => {
    // Whoever ends it in a way of their own has begun to.
    if (request.complete || connection.writableEnded || !response.shouldKeepAlive) return
    const deadline = setTimeout(() => {
      if (request.complete) return
      connection.end()
      drainThenDestroy(connection)
    }, REST_OF_BODY_MS)
    request.once('close', () => clearTimeout(deadline))
  })
}

function brokenRequest(error: NodeJS.ErrnoException): EssError {
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return new EssError(
        'headers-too-large',
        'Expected a request head of at most 16 KiB and 100 fields, got more',
      )
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new EssError(
        'request-timeout',
        `Expected a whole request head within ${HEADERS_TIMEOUT_MS / 1000} s`,
      )
    default:
      return new EssError('bad-request', `Expected HTTP/1.1, got something else: ${error.message}`)
  }
}
