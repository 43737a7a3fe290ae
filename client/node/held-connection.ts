import type { Socket } from 'node:net'

/** Those that are open. */
const open = new Set<HeldConnection>()
// Whoever calls process.exit(), or awaits what never comes, leaves the ending to the kernel, which would send a FIN.
process.once('exit', () => {
  for (const connection of open) connection.reset()
})

/**
 * One connection whose ending is ours to choose.
 *
 * The server reads the end of our connection as a word: a FIN after the last byte says "I have the file", an
 * RST says "I lost it". Node's HTTP client would say the first one far too early: it answers the server's FIN
 * with its own, and ends the socket as soon as the response was read, while the file is still on its way to
 * the disk. So until `close` the FIN is held at the last step, in the socket's own `_final`: Node may believe
 * that it has ended. And whoever destroys the socket before that, resets it.
 */
export class HeldConnection {
  #socket: Socket | undefined
  #tcp: Socket | undefined
  #sayFin = () => {}
  #isOver = false
  #isKept = false
  #isClosed = false

  /** Takes `socket` over; `tcp` is what it runs on (the same one, unless it speaks TLS). */
  hold(socket: Socket, tcp: Socket): void {
    this.#socket = socket
    this.#tcp = tcp
    // An error is either told to the request too, or comes after the verdict, when it means nothing.
    socket.on('error', () => {})
    open.add(this)
    socket.once('close', () => open.delete(this))
    socket._final = (callback) => {
      this.#sayFin = () => socket._final(callback)
    }
    socket.destroy = (error) => {
      // With an error, the connection never was or is broken already: there is nothing to reset.
      if (error === undefined && this.#isKept) return socket
      if (error === undefined) this.reset()
      else letGo(socket).destroy(error)
      return socket
    }
    if (this.#isOver) this.reset()
  }

  /**
   * From here on, Node's HTTP client cannot end it: it does not see the body, so it takes the server's FIN for
   * a cut.
   */
  keep(): void {
    this.#isKept = true
  }

  /** Ends in good order: everything is where it belongs. Without effect on a connection that is gone. */
  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#isClosed = true
    if (this.#socket === undefined) return
    const socket = letGo(this.#socket)
    this.#sayFin()
    socket.destroySoon()
  }

  /** Ends with an RST, so that nobody can take this ending for a good one. Without effect after `close`. */
  reset(): void {
    // libuv refuses a reset while a FIN is on its way, and would never close that socket.
    if (this.#isClosed) return
    this.#isOver = true
    if (this.#socket === undefined) return
    const socket = letGo(this.#socket)
    if (socket.destroyed) return
    // Only TCP can be reset: under TLS that is the socket below, and inside a TLS proxy there is none to reach.
    if (this.#tcp !== undefined && !('encrypted' in this.#tcp)) this.#tcp.resetAndDestroy()
    socket.destroy()
  }
}

/** Gives the socket its own methods back. */
function letGo(socket: Socket): Socket {
  for (const method of ['_final', 'destroy']) Reflect.deleteProperty(socket, method)
  return socket
}
