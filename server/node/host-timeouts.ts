import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Attachment } from './attachment.js'
import { type Exceptions, exceptFromTimeouts } from './node-inside.js'

/*
 * A service doesn't own the server it is mounted in. That server's timeouts are made for requests that are answered at
 * once: Node's `requestTimeout` ends every request after five minutes, even one whose bytes flow. Here they are lifted
 * from the requests of a transfer alone, which the service times itself: `ttl`, `heartbeat`, `stallTimeout`.
 */

const patient = new Attachment<IncomingMessage, true>('patient')
const inUse = new Attachment<Socket, boolean>('in use')

const EXCEPTIONS: Exceptions = {
  mayTakeLong: (request) => patient.get(request) === true,
  isInUse: (connection) => inUse.get(connection) === true,
}

/** From now on the host's timeouts leave this request alone: it takes as long as its transfer does. */
export function outlastHost(request: IncomingMessage, response: ServerResponse): void {
  if (request.httpVersionMajor !== 1) return
  if (!request.complete) {
    patient.set(request, true)
    exceptFromTimeouts(request, EXCEPTIONS)
  }
  const { socket: connection } = request
  const { timeout } = connection
  // The host's `server.timeout`: a waiting sender is silent for longer.
  if (timeout !== undefined && timeout > 0) {
    connection.setTimeout(0)
    response.once('finish', () => {
      // Node may have set the one for the time between two requests.
      if (!connection.timeout) connection.setTimeout(timeout)
    })
  }
  // What connect-timeout gives a request that is going to take its time.
  const { clearTimeout: clearHostsTimer } = request as { clearTimeout?: unknown }
  if (typeof clearHostsTimer === 'function') clearHostsTimer.call(request)
}

/**
 * Node takes a connection for idle as soon as the response was given its last byte, and then a host's `server.close()`
 * destroys it. A receiver has bytes under way at that time, and has yet to confirm them.
 */
export function setInUse(request: IncomingMessage, connection: Socket, isInUse: boolean): void {
  inUse.set(connection, isInUse)
  if (isInUse && request.httpVersionMajor === 1) exceptFromTimeouts(request, EXCEPTIONS)
}
