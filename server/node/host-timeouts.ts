import type { IncomingMessage } from 'node:http'
import { Attachment } from './attachment.js'
import type { ConnectionPort, RequestPort, ResponsePort } from './ports.js'
import { type Exceptions, exceptFromTimeouts } from './server-timeouts.js'

/*
 * A service doesn't own the server it is mounted in, and that server's timeouts suit requests that are answered at
 * once: Node's `requestTimeout` ends every request after five minutes, even one whose bytes flow. This file lifts them
 * from a transfer's requests alone. The service times those itself: `ttl`, `heartbeat`, `stallTimeout`.
 */

const patient = new Attachment<IncomingMessage, true>('patient')
const inUse = new Attachment<ConnectionPort, boolean>('in use')

const EXCEPTIONS: Exceptions = {
  mayTakeLong: (request) => patient.get(request) === true,
  isInUse: (connection) => inUse.get(connection) === true,
}

/** Frees this request from the host's timeouts: it may take as long as its transfer does. */
export function outlastHost(request: IncomingMessage, response: ResponsePort): void {
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
      // Node may have set the timeout between two requests.
      if (!connection.timeout) connection.setTimeout(timeout)
    })
  }
  // The middleware connect-timeout gives each request this method, to call when the request will take its time.
  const { clearTimeout: clearHostsTimer } = request as { clearTimeout?: unknown }
  if (typeof clearHostsTimer === 'function') clearHostsTimer.call(request)
}

/**
 * Says that a receiver's connection is still in use, or no longer. Node takes a connection for idle as soon as the
 * response has its last byte, and a host's `server.close()` destroys idle ones. But then a receiver's last bytes are
 * still under way, and it has yet to confirm them.
 */
export function setInUse(request: RequestPort, connection: ConnectionPort, isInUse: boolean): void {
  inUse.set(connection, isInUse)
  if (isInUse && request.httpVersionMajor === 1) exceptFromTimeouts(request, EXCEPTIONS)
}
