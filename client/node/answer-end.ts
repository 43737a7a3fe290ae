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

/**
 * True unless the connection was reset. Node 20 takes a reset right behind the last bytes for a mere end, but the kernel then
 * knows of no other side. Node remembers an address that it was asked for, so don't ask for this one before the end.
 */
export function isConnected(tcp: Socket): boolean {
  return tcp.remoteAddress !== undefined
}
