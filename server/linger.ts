import type { Socket } from 'node:net'
import { Attachment } from './attachment.js'

/** How long a peer that is still sending may go on until it has read why its request was refused. */
const DRAIN_MS = 2000

/**
 * Lets a connection end gently when its peer may still be sending: the caller closes our half after its last
 * words, and what still comes is thrown away here until the peer closes its half, for at most 2 s. Closing all
 * at once would answer the peer's next byte with a reset, and a reset destroys what the peer has not read yet
 * (RFC 9112, 9.6).
 */
export function drainThenDestroy(connection: Socket): void {
  connection.resume()
  const deadline = setTimeout(() => connection.destroy(), DRAIN_MS)
  connection.once('close', () => clearTimeout(deadline))
}

/**
 * Has Node end this connection gently, when it has written the last response: as it would by itself, it would close
 * it all at once, under a peer that may still be sending.
 */
export function endGently(connection: Socket): void {
  connection.destroySoon = endThenDrain
}

/*
 * Never a function literal in an assignment to a property: V8 takes such a one for part of a class, and gives it a
 * place among the old objects at once. What it can see, here a whole connection, then stays until all of them are
 * collected.
 */
function endThenDrain(this: Socket): void {
  this.end()
  drainThenDestroy(this)
}

/** The TCP connections below those of TLS. */
const carriers = new Attachment<Socket, Socket>('carrier')

/** Says what `connection`, which speaks TLS, is carried by: Node keeps it to itself. */
export function setCarrier(connection: Socket, carrier: Socket): void {
  carriers.set(connection, carrier)
}

/** The TCP connection, or whatever else it is, below `connection`; the same one where there is no TLS of ours. */
export function carrierOf(connection: Socket): Socket {
  return carriers.get(connection) ?? connection
}

/**
 * Resets a connection, so that its peer cannot take what it has for the whole. libuv refuses that while our half
 * is being closed, and would then leave the connection open for good: it is reset as soon as that is done.
 */
export function resetConnection(connection: Socket): void {
  if (connection.writableEnded && !connection.writableFinished && !connection.destroyed) {
    connection.once('finish', () => reset(connection))
  } else {
    reset(connection)
  }
}

function reset(connection: Socket): void {
  const carrier = carrierOf(connection)
  // In a server of the embedder's, TLS cannot be reset. Cut off without a word of goodbye (close_notify) it is as
  // plain: RFC 8446, 6.1.
  if ('encrypted' in carrier) carrier.destroy()
  else carrier.resetAndDestroy()
}
