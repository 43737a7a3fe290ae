import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

/**
 * Calls `onSurplus` when bytes follow a whole `response`. Node's own listener takes itself off once the response is
 * whole, so this one has to come before it.
 */
export function watchForSurplus(socket: Socket, response: IncomingMessage, onSurplus: () => void): void {
  socket.prependListener('data', () => {
    if (response.complete) onSurplus()
  })
}

/**
 * Calls `onCut` when the server's FIN comes and `isWhole` is false. Node's HTTP client tells a cut from an end only
 * when the socket closes, and a held connection doesn't close by itself.
 */
export function watchForCut(socket: Socket, isWhole: () => boolean, onCut: () => void): void {
  socket.once('end', () => {
    // One tick later: Node's own listener for the end may be the one that completes the response.
    process.nextTick(() => {
      if (!isWhole()) onCut()
    })
  })
}
