import type { Socket } from 'node:net'
import { resetConnection } from './reset.js'

/** The connections that are open. */
const open = new Set<HeldConnection>()
// If a program calls process.exit(), or awaits a promise that never settles, the kernel ends its connections with a
// FIN.
process.once('exit', () => {
  for (const connection of open) connection.reset()
})

/**
 * One connection whose ending we choose.
 *
 * The server reads the end of our connection as a message: a FIN after the last byte says "I have the file", an RST
 * says "I lost it". Node's HTTP client would send the FIN far too early. It answers the server's FIN with its own,
 * and ends the socket as soon as the response was read, while the file is still on its way to the disk. So we hold
 * the FIN at the last step, in the socket's own `_final`, until `close`; Node believes that the socket has ended.
 * Destroying the socket before that resets it.
 */
export class HeldConnection {
  #socket: Socket | undefined
  #tcp: Socket | undefined
  #sayFin = () => {}
  #isOver = false
  #isKept = false
  #isClosed = false

  /** Takes over `socket`. `tcp` is the socket below it; the same one without TLS. */
  hold(socket: Socket, tcp: Socket): void {
    this.#socket = socket
    this.#tcp = tcp
    // The request hears of an error too, or it comes after the verdict, when it means nothing.
    socket.on('error', () => {})
    open.add(this)
    socket.once('close', () => open.delete(this))
    socket._final = (callback) => {
      this.#sayFin = () => socket._final(callback)
    }
    socket.destroy = (error) => {
      // With an error, the connection never was or is already broken, so there is nothing to reset.
      if (error === undefined && this.#isKept) return socket
      if (error === undefined) this.reset()
      else letGo(socket).destroy(error)
      return socket
    }
    if (this.#isOver) this.reset()
  }

  /**
   * From now on, Node's HTTP client can't end the connection. It doesn't see the body, so it takes the server's FIN
   * for a cut.
   */
  keep(): void {
    this.#isKept = true
  }

  /** Ends in good order: the whole file is in its place. Does nothing if the connection is gone. */
  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#isClosed = true
    if (this.#socket === undefined) return
    const socket = letGo(this.#socket)
    this.#sayFin()
    socket.destroySoon()
  }

  /** Ends with an RST, which can't be taken for a good ending. Does nothing after `close`. */
  reset(): void {
    // libuv refuses a reset while a FIN is on its way, and would then never close the socket.
    if (this.#isClosed) return
    this.#isOver = true
    if (this.#socket === undefined) return
    const socket = letGo(this.#socket)
    if (socket.destroyed) return
    // Only TCP can be reset. With TLS, that is the socket below; inside a TLS proxy, we can't reach it.
    if (this.#tcp !== undefined && !('encrypted' in this.#tcp)) resetConnection(socket, this.#tcp)
    else socket.destroy()
  }
}

/** Gives the socket its own methods back. */
function letGo(socket: Socket): Socket {
  for (const method of ['_final', 'destroy']) Reflect.deleteProperty(socket, method)
  return socket
}
