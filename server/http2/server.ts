import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  constants,
  createServer,
  Http2ServerRequest,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { HELD_WINDOW, Line } from './line.js'
import { ConnectionPipe } from './pipe.js'
import { Http2Response } from './response.js'

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

/** Whoever answers requests, of whichever version. */
export interface Answers {
  request(request: IncomingMessage, response: ServerResponse): void
  /** A request with `Expect: 100-continue`. */
  checkContinue(request: IncomingMessage, response: ServerResponse): void
  /** A request with another `Expect`. */
  checkExpectation(request: IncomingMessage, response: ServerResponse): void
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
 * stream alone.
 */
export function http2Side(answers: Answers): Http2Side {
  const lines = new Map<ServerHttp2Session, Line>()
  const server = createServer(LIMITS)
    // What is wrong with a connection ends it, and its streams tell.
    .on('sessionError', () => undefined)
    .on(
      'stream',
      (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
        const line =
          stream.session === undefined ? undefined : lines.get(stream.session as ServerHttp2Session)
        if (line === undefined) stream.close(constants.NGHTTP2_REFUSED_STREAM)
        else answer(stream, headers, raw, line, answers)
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
      for (const session of lines.keys()) session.close()
    },
    closeAll: () => {
      for (const session of lines.keys()) session.destroy()
    },
  }
}

function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
  line: Line,
  answers: Answers,
): void {
  stream.once('close', line.enter())
  const request = presentAsHttp1(stream, headers, rawHeaders)
  const response = new Http2Response(stream, line, request)
  Object.defineProperties(request, {
    socket: { value: response.socket },
    connection: { value: response.socket },
  })
  if (!stream.endAfterHeaders) {
    const upload = line.upload()
    request.once('resume', upload.flow)
    stream.once('close', upload.end)
  }
  // They have what this service and Hono use of them.
  const pair = [request as unknown as IncomingMessage, response as unknown as ServerResponse] as const
  if (headers[':method'] === 'CONNECT') stream.respond({ ':status': 405 }, { endStream: true })
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
): Http2ServerRequest {
  const authority = headers[':authority']
  if (authority !== undefined) headers.host = authority
  const isOpen = !stream.endAfterHeaders
  if (isOpen && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked'
  let isWhole = !isOpen
  const request = new Http2ServerRequest(stream, headers, {}, rawHeaders)
  stream.once('end', () => {
    // The end of a stream that was closed is not that of its body.
    isWhole ||= !stream.closed && !stream.aborted
  })
  Object.defineProperty(request, 'complete', { get: () => isWhole })
  return request
}
