import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Lets a sender over HTTP/1.1 close its half of the connection after its body, as `nc -N` and socat do, and still read
 * its response. Node's server would end the whole connection then, in the middle of that. `closed` is called when it
 * has; a body that is not complete is the parser's to complain about.
 */
export function outliveHalfClose(
  request: IncomingMessage,
  response: ServerResponse,
  closed: () => void,
): void {
  if (request.httpVersionMajor !== 1) return
  const connection = request.socket
  // A host's own server may have made it otherwise, as that of node:https does.
  connection.allowHalfOpen = true
  // Before Node's own listener, which ends it, and after.
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
