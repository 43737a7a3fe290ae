import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  constants,
  createServer,
  Http2ServerRequest,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { lookRegularly } from '../node/unread.js'
import { gatherSmallChunks } from '../relay/gears/small-chunks.js'
import { HELD_WINDOW, Line } from './line.js'
import { ConnectionPipe } from './pipe.js'
import { Http2Response } from './response.js'
import { UnreadAnswers } from './unread.js'

/** What one connection may cost. nghttp2 bounds floods of PING, SETTINGS and RST_STREAM by itself. */
const LIMITS = {
  settings: {
    initialWindowSize: HELD_WINDOW,
    maxConcurrentStreams: 100,
    // As over HTTP/1.1.
    maxHeaderListSize: 16 * 1024,
  },
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  // One for each stream, at its end.
  maxOutstandingPings: 200,
} as const

/** How long a client that has ended its body may take to say that it has not thought better of it. */
const SECOND_THOUGHTS_MS = 5000

/** Whoever answers requests, of whichever version. */
export interface Answers {
  request(request: IncomingMessage, response: ServerResponse): void
  /** A request with `Expect: 100-continue`. */
  checkContinue(request: IncomingMessage, response: ServerResponse): void
  /** A request with another `Expect`. */
  checkExpectation(request: IncomingMessage, response: ServerResponse): void
  /** A request for a tunnel. */
  connect(request: IncomingMessage, response: ServerResponse): void
}

/** The HTTP/2 of a server. */
export interface Http2Side {
  /** Speaks HTTP/2 on a connection that has chosen it. */
  speak(connection: TLSSocket): void
  /** No new requests; each connection ends with its last one. */
  close(): void
  /** Ends what is left. */
  closeAll(): void
}

/**
 * Serves HTTP/2 by whoever answers HTTP/1.1: each stream comes as a request and a response whose connection is that
 * stream alone. A peer may leave an answer unread for `unreadMs`.
 */
export function http2Side(answers: Answers, unreadMs: number): Http2Side {
  const lines = new Map<ServerHttp2Session, Line>()
  const unread = new UnreadAnswers(unreadMs)
  const stopLooking = lookRegularly(unreadMs, () => unread.look())
  const server = createServer(LIMITS)
    // What is wrong with a connection ends it, and its streams tell.
    .on('sessionError', () => undefined)
    .on(
      'stream',
      (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
        // What is wrong with a connection comes to each stream that is open, also to one that nobody reads yet.
        stream.on('error', () => undefined)
        const line =
          stream.session === undefined ? undefined : lines.get(stream.session as ServerHttp2Session)
        if (line === undefined) stream.close(constants.NGHTTP2_REFUSED_STREAM)
        else answer(stream, headers, raw, line, answers, unread)
      },
    )
  return {
    speak: (connection) => {
      // Only HTTP/1.1 has a use for a connection of which one half is closed.
      connection.allowHalfOpen = false
      // Within the call below.
      server.once('session', (session: ServerHttp2Session) => {
        lines.set(session, new Line(session, connection))
        session.once('close', () => lines.delete(session))
      })
      server.emit('connection', new ConnectionPipe(connection))
    },
    close: () => {
      // It has a shorter end than that from now on.
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
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
  line: Line,
  answers: Answers,
  unread: UnreadAnswers,
): void {
  stream.once('close', line.enter())
  const request = presentAsHttp1(stream, headers, rawHeaders, line)
  // Node tells the request of its stream's errors; that it is lost, its end says.
  request.on('error', () => undefined)
  const response = new Http2Response(stream, line, request, unread)
  Object.defineProperties(request, {
    socket: { value: response.socket },
    connection: { value: response.socket },
  })
  if (!stream.endAfterHeaders) {
    gatherSmallChunks(stream)
    const upload = line.upload()
    request.once('resume', upload.flow)
    stream.once('close', upload.end)
  }
  // They have what this service and Hono use of them.
  const pair = [request as unknown as IncomingMessage, response as unknown as ServerResponse] as const
  if (headers[':method'] === 'CONNECT') answers.connect(...pair)
  else if (headers.expect === undefined) answers.request(...pair)
  else if (/^100-continue$/i.test(headers.expect)) answers.checkContinue(...pair)
  else answers.checkExpectation(...pair)
}

/**
 * Node's request, with what is different in HTTP/2 said in the words of HTTP/1.1: the host, a body of unknown length,
 * and whether it has come whole. For Node a body is complete as well when it was cut off.
 */
function presentAsHttp1(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
  line: Line,
): Http2ServerRequest {
  const authority = headers[':authority']
  if (authority !== undefined) headers.host = authority
  const request = new Http2ServerRequest(stream, headers, {}, rawHeaders)
  let isWhole = stream.endAfterHeaders
  Object.defineProperty(request, 'complete', { get: () => isWhole })
  const believeEnd = () => {
    isWhole ||= !stream.closed && !stream.destroyed
  }
  if (isWhole) return request
  if (headers['content-length'] !== undefined) {
    stream.once('end', believeEnd)
    return request
  }
  headers['transfer-encoding'] = 'chunked'
  holdEnd(request, async () => {
    await Promise.race([line.isRead(), delay(SECOND_THOUGHTS_MS, undefined, { ref: false })])
    believeEnd()
  })
  return request
}

/**
 * A client of Node's that gives up sends END_STREAM, and RST_STREAM in a packet behind it. Where no length tells that
 * something is missing, the end of a body is therefore believed when nothing has come behind it in one round trip.
 */
function holdEnd(request: Http2ServerRequest, wait: () => Promise<void>): void {
  let isHeld = false
  // Not a literal: see `endGently`.
  request.push = pushUnlessEnd

  function pushUnlessEnd(chunk: unknown): boolean {
    // Where the stream is closed, this is not the end of its body, and `complete` says so.
    if (chunk !== null || isHeld || request.stream.destroyed) return push(request, chunk)
    isHeld = true
    // It never rejects.
    void wait().then(() => push(request, null))
    return false
  }
}

function push(request: Http2ServerRequest, chunk: unknown): boolean {
  return request.readableEnded ? false : Readable.prototype.push.call(request, chunk)
}
