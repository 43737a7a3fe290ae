import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Service } from '../broker/service.js'
import { type Answers, http2Side } from '../http2/server.js'
import { Attachment } from '../node/attachment.js'
import { isBrought } from '../node/origin.js'
import type { ResponsePort } from '../node/ports.js'
import { timings } from '../node/timings.js'
import { lookRegularly, UnreadConnections, unreadMs } from '../node/unread.js'
import { answersOf, NO_TUNNEL, TUNNEL_ALLOW } from './answers.js'
import { answerBroken, endInTurn } from './bare-answers.js'
import { sayHsts } from './hsts.js'
import type { Certificate } from './tls.js'
import { secure } from './tls-front.js'

/** How much of a body Node reads before the body is wanted. */
export const READ_AHEAD_BYTES = 16 * 1024

/** How long a connection may be silent before the kernel checks whether the peer is still there. */
export const KEEP_ALIVE_PROBE_MS = 30_000

/** The TLS of a server that has it. */
export interface SpokenTls {
  readonly certificate: Pick<Certificate, 'use'>
  readonly hstsMaxAge: number
}

/** A server that speaks HTTP on connections, wherever they come from. */
export interface Speaking {
  /** Listen by it, or give it connections by its event `connection`. */
  readonly server: Server
  /**
   * Takes no new connections any more. Those that are open end with the next answer, so that their clients come to another
   * node; by HTTP/2, with the last one that is under way. What other nodes bring is served as before.
   */
  closeDoor(): void
  /**
   * Takes no new connections, and ends those that are open: idle ones at once, others after their last words. Resolves
   * when `closed` does.
   */
  close(closed: Promise<unknown>): Promise<void>
}

/** Speaks HTTP/1.1 for a service, and with TLS HTTP/2 too. `answer` is the service's handler. */
export function speak(service: Service, answer: Answers['request'], tls: SpokenTls | undefined): Speaking {
  /** The last response on each connection, among the requests that came so far. */
  const latest = new Attachment<Socket, ResponsePort>('latest response')
  const answerMs = unreadMs(service.options.stallTimeoutMs)
  const unread = new UnreadConnections(answerMs)
  let isDoorClosed = false
  const mayAsk = (request: IncomingMessage, response: ResponsePort) => {
    latest.set(request.socket, response)
    if (isDoorClosed) response.shouldKeepAlive = false
    if (tls !== undefined) sayHsts(request, response, tls.hstsMaxAge)
    return unread.asked(request.socket, response)
  }
  const answers = answersOf(service, answer, mayAsk)
  const server = createServer(
    {
      // Node's default, 300 s, would cut a long upload that still flows. 0 is no limit; the head has a limit of its
      // own.
      requestTimeout: 0,
      headersTimeout: timings.headMs,
      connectionsCheckingInterval: timings.headCheckMs,
      // Node's own refusal (RFC 9112, 3.2) has no body; ours says what was expected.
      requireHostHeader: false,
      // Node reads this much of a waiting sender's body ahead, and to the end of the read that passes it. Since Node
      // 22 its default is 64 KiB, which takes two reads, 128 KiB per sender, instead of one.
      highWaterMark: READ_AHEAD_BYTES,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    },
    answers.request,
  )
  server.on('checkContinue', answers.checkContinue)
  server.on('checkExpectation', answers.checkExpectation)
  // Without a listener, Node closes the connection without an answer.
  server.on('connect', (request, connection) => {
    service.refused(NO_TUNNEL, request)
    endInTurn(connection as Socket, latest.get(request.socket), NO_TUNNEL, TUNNEL_ALLOW)
  })
  server.on('clientError', (error, connection) => {
    const broken = () => answerBroken(service, error, connection as Socket)
    // Another node brings a request in one piece: this turn has begun it, and its sender is known in the next one.
    if (isBrought(connection)) setImmediate(broken)
    else broken()
  })
  if (tls !== undefined) service.relay.goByStreamsOnly()
  const http2 = tls && http2Side(answers, answerMs)
  // Before `secure`, which emits the same event for the TLS connection on top of this one.
  server.on('connection', (connection) => unread.watch(connection))
  // What other nodes bring has passed TLS and the limit of connections there.
  const listeners = server.listeners('connection')
  service.nodes?.serve((link) => {
    for (const listener of listeners) Reflect.apply(listener, server, [link])
    // It may have been paused.
    link.resume()
  })
  const front = tls && http2 && secure(server, tls.certificate, { h2: http2.speak })
  let stopLooking: (() => void) | undefined
  server.once('listening', () => {
    stopLooking = lookRegularly(answerMs, () => unread.look())
  })
  return {
    server,
    closeDoor: () => {
      isDoorClosed = true
      server.close()
      server.closeIdleConnections()
      http2?.sendAway()
    },
    close: async (closed) => {
      stopLooking?.()
      server.close()
      server.closeIdleConnections()
      front?.close()
      http2?.close()
      const deadline = setTimeout(() => {
        server.closeAllConnections()
        http2?.closeAll()
        service.nodes?.stopNow()
      }, timings.lastWordsMs)
      await closed
      clearTimeout(deadline)
    },
  }
}
