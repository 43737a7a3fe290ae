import type { IncomingMessage } from 'node:http'
import {
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { ResponsePort } from '../node/ports.js'
import { lookRegularly } from '../node/unread.js'
import { gatherSmallChunks } from '../relay/gears/small-chunks.js'
import { HELD_WINDOW, Line } from './line.js'
import { ConnectionPipe } from './pipe.js'
import type { Http2Head } from './request.js'
import { Http2Response } from './response.js'
import { UnreadAnswers } from './unread.js'

/** Limits on one connection. nghttp2 bounds floods of PING, SETTINGS and RST_STREAM by itself. */
const LIMITS = {
  settings: {
    initialWindowSize: HELD_WINDOW,
    maxConcurrentStreams: 100,
    // The same as over HTTP/1.1.
    maxHeaderListSize: 16 * 1024,
  },
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  // One for each stream, at its end.
  maxOutstandingPings: 200,
} as const

/** Answers requests by HTTP/1.1 and HTTP/2 alike. */
export interface Answers {
  readonly request: (request: IncomingMessage, response: ResponsePort) => void
  /** A request with `Expect: 100-continue`. */
  readonly checkContinue: (request: IncomingMessage, response: ResponsePort) => void
  /** A request with another `Expect`. */
  readonly checkExpectation: (request: IncomingMessage, response: ResponsePort) => void
  /** A request for a tunnel. */
  readonly connect: (request: IncomingMessage, response: ResponsePort) => void
}

/** The HTTP/2 of a server. */
export interface Http2Side {
  /** Speaks HTTP/2 on a connection that has chosen it. */
  speak(connection: TLSSocket): void
  /** Ends each connection as soon as no download is under way on it. Clients ask again by another one. */
  sendAway(): void
  /** Takes no new requests. Each connection ends with its last one. */
  close(): void
  /** Ends all connections that are left. */
  closeAll(): void
}

/**
 * Serves HTTP/2 with the handlers of HTTP/1.1. Each stream becomes a request and a response whose connection is that
 * stream alone. A peer may leave an answer unread for `unreadMs`.
 */
export function http2Side(answers: Answers, unreadMs: number): Http2Side {
  const lines = new Map<ServerHttp2Session, Line>()
  const unread = new UnreadAnswers(unreadMs)
  const stopLooking = lookRegularly(unreadMs, () => unread.look())
  const server = createServer(LIMITS)
    // An error of a session ends its connection, and its streams report that.
    .on('sessionError', () => undefined)
    .on(
      'stream',
      (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]) => {
        // An error of the connection reaches each open stream, even one that isn't read yet.
        stream.on('error', () => undefined)
        const line =
          stream.session === undefined ? undefined : lines.get(stream.session as ServerHttp2Session)
        if (line === undefined) stream.close(constants.NGHTTP2_REFUSED_STREAM)
        else answer(stream, { headers, rawHeaders }, line, answers, unread)
      },
    )
  return {
    speak: (connection) => {
      // Only HTTP/1.1 has a use for a half-closed connection.
      connection.allowHalfOpen = false
      // The event comes within the call below.
      server.once('session', (session: ServerHttp2Session) => {
        lines.set(session, new Line(session, connection))
        session.once('close', () => lines.delete(session))
      })
      server.emit('connection', new ConnectionPipe(connection))
    },
    sendAway: () => {
      for (const line of lines.values()) line.retireSoon()
    },
    close: () => {
      // From now on connections end sooner than those limits.
      stopLooking()
      for (const session of lines.keys()) session.close()
    },
    closeAll: () => {
      // A session that is being closed would wait for its peer.
      for (const { socket } of lines.values()) socket.destroy()
    },
  }
}

function answer(
  stream: ServerHttp2Stream,
  head: Http2Head,
  line: Line,
  answers: Answers,
  unread: UnreadAnswers,
): void {
  stream.once('close', line.enter())
  const response = new Http2Response(stream, head, line, unread)
  // Node tells the request of its stream's errors. That the body is lost shows in its end.
  response.req.on('error', () => undefined)
  if (!stream.endAfterHeaders) {
    gatherSmallChunks(stream)
    const upload = line.upload()
    response.req.once('resume', upload.flow)
    stream.once('close', upload.end)
  }
  // It has what this service and Hono use of one.
  const request = response.req as unknown as IncomingMessage
  const { ':method': method, expect } = head.headers
  if (method === 'GET' || method === 'POST') response.socket.once('close', line.ask())
  if (method === 'CONNECT') answers.connect(request, response)
  else if (expect === undefined) answers.request(request, response)
  else if (/^100-continue$/i.test(expect)) answers.checkContinue(request, response)
  else answers.checkExpectation(request, response)
}
