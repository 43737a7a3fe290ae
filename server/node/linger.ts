import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { Attachment } from './attachment.js'
import { socketBelow } from './node-inside.js'

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

/** Says what `connection`, which speaks TLS, is carried by: Node doesn't document how to ask for it. */
export function setCarrier(connection: Socket, carrier: Socket): void {
  carriers.set(connection, carrier)
}

/** The TCP connection, or whatever else it is, below `connection`; the same one where there is no TLS of ours. */
export function carrierOf(connection: Socket): Socket {
  return carriers.get(connection) ?? socketBelow(connection) ?? connection
}

/**
 * Has our half of a TLS connection end with TCP's FIN alone, without TLS's close_notify. Python, wget and Node's fetch
 * close as soon as they have the last byte. Their kernel would answer an unread close_notify with a reset, which is
 * also how it answers for a program that died with half the file unread. A FIN leaves nothing to read. It can't hide a
 * cut either: only the length or the last chunk says that a download is whole (RFC 9112, 9.8).
 */
export function endWithoutGoodbye(connection: Socket): void {
  if (connection instanceof TLSSocket) connection._final = endCarrier
}

function endCarrier(this: Socket, done: (error?: Error | null) => void): void {
  const carrier = carrierOf(this)
  // Where Node hides the carrier, our half stays open, and the receiver's own end is waited for.
  if (carrier === this) done()
  else carrier.end(done)
}

/**
 * True where an error is TLS's answer to such an end. OpenSSL 3 sends this alert when it reads a FIN without a
 * close_notify, so its program has read every byte before that. Only receivers that read to the end of the connection
 * do so, such as busybox's wget.
 */
export function isAnswerToOurEnd(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ERR_SSL_TLSV1_ALERT_DECODE_ERROR'
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
  try {
    carrier.resetAndDestroy()
  } catch {
    // Only TCP can be reset, not a UNIX socket, a stream of the embedder's, or TLS whose carrier Node hides. Their
    // peer finds its body cut short.
    carrier.destroy()
  }
}
