import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { ResponsePort } from '../node/ports.js'
import { stopFilling } from '../node/raw-reading.js'
import { takeFromParser } from '../node/socket-inside.js'
import { takesResetForEnd } from '../node/undici.js'

/**
 * A request's connection, taken from Node's HTTP server before any answer was begun. It is paused. The caller reads on,
 * writes the answer, and ends it.
 */
export interface Taken {
  readonly connection: Socket | TLSSocket
  /** All of the request that was read: its head, with `Connection: close`, and what came behind it. */
  readonly bytes: Buffer
}

/**
 * These are about the connection, not about the request (RFC 9110, 7.6.1). A taken connection ends with this request's
 * answer, because Node's parser may have read a part of the next request, and that part is lost.
 */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'upgrade',
  'http2-settings',
])

/** True for a field about the connection; `name` is in lower case. */
export function isOfTheConnection(name: string): boolean {
  return OF_THE_CONNECTION.has(name)
}

/**
 * Takes a request's connection from Node's HTTP server, as for an upgrade. Undefined, with nothing changed, where it
 * can't be had: for HTTP/2, behind an answer that is not complete, for a chunked body, of which the parser gives back
 * no framing, and for a body of which something was read. Call it in a later turn than the request's own event.
 */
export function takeOver(request: IncomingMessage, response: ResponsePort): Taken | undefined {
  const { socket: connection } = request
  if (!(response instanceof ServerResponse) || !isWhole(request, response)) return undefined
  if (!takeFromParser(connection)) return undefined
  response.detachSocket(connection)
  // Nothing will be written to it.
  response.emit('close')
  // A read would make the connection flow again.
  stopFilling(request)
  return { connection, bytes: Buffer.concat([headOf(request), ...piecesOf(request)]) }
}

/** What was read of a request's body. Since Node 26, each read gives one piece; before, one gives all. */
function* piecesOf(request: IncomingMessage): Generator<Buffer> {
  while (request.readableLength > 0) {
    const piece = request.read() as Buffer | null
    if (piece === null) return
    yield piece
  }
}

/** True if nothing of the request is lost, and nothing of an answer is out. */
function isWhole(request: IncomingMessage, response: ServerResponse): boolean {
  const { socket: connection } = request
  return (
    connection instanceof Socket &&
    connection.writable &&
    !connection.destroyed &&
    response.socket !== null &&
    !response.headersSent &&
    request.headers['transfer-encoding'] === undefined &&
    !request.readableDidRead
  )
}

/** The head of a request as its client sent it, but for what is about the connection. */
export function headOf(request: IncomingMessage): Buffer {
  const { method, url, httpVersion, rawHeaders } = request
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = [rawHeaders[at], rawHeaders[at + 1]]
    if (!isOfTheConnection(name.toLowerCase())) lines.push(`${name}: ${value}`)
  }
  // undici is known by its Connection, which is gone here, or by this.
  if (takesResetForEnd(request) && request.headers['sec-fetch-mode'] === undefined)
    lines.push('Sec-Fetch-Mode: cors')
  lines.push('Connection: close', '', '')
  // Node reads a head as Latin-1.
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

/** Gives a connection with bytes that were read already to a server of plain HTTP, as if it had just been accepted. */
export function giveTo(server: Server, connection: Socket, bytes: Buffer): void {
  // As Node's HTTP server has its own connections.
  connection.allowHalfOpen = true
  // A stream that flows would lose them.
  connection.pause()
  if (bytes.length > 0) connection.unshift(bytes)
  server.emit('connection', connection)
  // In this very turn, because Node's parser soon reads below the stream, and these bytes come first.
  connection.resume()
}
