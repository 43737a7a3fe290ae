import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Calls `onSurplus` if bytes follow a whole `response`. Node's own listener removes itself once the response is
 * whole, so this one must be called first.
 */
export function watchForSurplus(socket: Socket, response: IncomingMessage, onSurplus: () => void): void {
  socket.prependListener('data', () => {
    if (response.complete) onSurplus()
  })
}

/**
 * Calls `onCut` if the server's FIN comes while `isWhole` is false. Node's HTTP client tells a cut from an end only
 * when the socket closes, and a held connection doesn't close by itself.
 */
export function watchForCut(socket: Socket, isWhole: () => boolean, onCut: () => void): void {
  socket.once('end', () => {
    // One tick later, because Node's own listener for this event may complete the response.
    process.nextTick(() => {
      if (!isWhole()) onCut()
    })
  })
}
