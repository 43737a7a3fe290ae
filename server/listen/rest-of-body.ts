import type { IncomingMessage } from 'node:http'
import { drainThenDestroy } from '../node/linger.js'
import type { ResponsePort } from '../node/ports.js'
import { timings } from '../node/timings.js'

/**
 * Limits the rest of a body. A request may be answered before its body is there, and its connection is kept for the
 * next one: if the rest has not come in time, the connection is ended gently.
 */
export function limitRestOfBody(request: IncomingMessage, response: ResponsePort): void {
  const { headers, socket: connection } = request
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
  if (!hasBody || request.httpVersionMajor !== 1) return
  response.once('finish', () => {
    // Other code may have begun to end the connection in its own way.
    if (request.complete || connection.writableEnded || !response.shouldKeepAlive) return
    const deadline = setTimeout(() => {
      if (request.complete) return
      connection.end()
      drainThenDestroy(connection)
    }, timings.restOfBodyMs)
    request.once('close', () => clearTimeout(deadline))
  })
}
