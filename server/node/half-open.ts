import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { ResponsePort } from './ports.js'

/**
 * Lets a sender over HTTP/1.1 close its half of the connection after its body, as `nc -N` and socat do, and still read
 * its response. Node's server would end the whole connection in the middle of that response. `closed` is called when
 * the sender has closed its half. If the body isn't complete by then, the parser reports it.
 */
export function outliveHalfClose(request: IncomingMessage, response: ResponsePort, closed: () => void): void {
  if (request.httpVersionMajor !== 1) return
  const connection = request.socket
  // A host's server may have set it to false, as node:https does.
  connection.allowHalfOpen = true
  // One listener before Node's own, which ends the connection, and one after it.
  connection.prependListener('end', hold).on('end', letGo)
  response.once('close', () => connection.off('end', hold).off('end', letGo))

  function hold(): void {
    if (!request.complete || response.writableEnded) return
    connection.end = staysOpen
  }

  function letGo(): void {
    if (connection.end !== staysOpen) return
    Reflect.deleteProperty(connection, 'end')
    response.once('finish', () => connection.destroySoon())
    closed()
  }
}

/** Stands in for `end` while Node's listener calls it. Not a literal: see `endGently`. */
function staysOpen(this: Socket): Socket {
  return this
}
