import type { Socket } from 'node:net'

/**
 * Resets a connection. `tcp` is the socket below `socket`; the same one without TLS.
 *
 * Node 20 crashes if TLS is destroyed between the reset of its TCP and the close of it, while a write is under way. So
 * until TCP has closed, `socket.destroy` does nothing.
 */
export function resetConnection(socket: Socket, tcp: Socket): void {
  if (socket !== tcp && !tcp.destroyed) {
    socket.destroy = () => socket
    tcp.once('close', () => {
      Reflect.deleteProperty(socket, 'destroy')
      socket.destroy()
    })
  }
  tcp.resetAndDestroy()
}
