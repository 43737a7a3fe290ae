import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { Attachment } from './attachment.js'
import type { ConnectionPort } from './ports.js'
import { socketBelow } from './socket-inside.js'
import { timings } from './timings.js'

/**
 * Lets a connection end gently whose peer may still be sending. The caller closes our half after its last words; this
 * throws away what still comes until the peer closes its half, for at most 2 s. If we closed both halves at once, the
 * peer's next byte would be answered with a reset, and a reset destroys what the peer has not read yet (RFC 9112, 9.6).
 */
export function drainThenDestroy(connection: ConnectionPort): void {
  connection.resume()
  const deadline = setTimeout(() => connection.destroy(), timings.drainMs)
  connection.once('close', () => clearTimeout(deadline))
}

/**
 * Has Node end this connection gently after the last response. By itself Node would close both halves at once, while
 * the peer may still be sending.
 */
export function endGently(connection: ConnectionPort): void {
  endInsteadOfClosing(connection, endThenDrain)
}

/** Has Node call `end` after the last response, where by itself it would close both halves of the connection. */
export function endInsteadOfClosing(connection: ConnectionPort, end: () => void): void {
  connection.destroySoon = end
}

/**
 * Makes `end` do nothing, for a connection that has ended already. Node ends it once more when the peer's end comes,
 * and would make an error of that.
 */
export function ignoreEnd(connection: ConnectionPort): void {
  connection.end = hasEnded
}

/** Lets a connection end again after `ignoreEnd`. */
export function mayEnd(connection: ConnectionPort): void {
  Reflect.deleteProperty(connection, 'end')
}

function hasEnded(this: ConnectionPort): ConnectionPort {
  return this
}

/*
 * Never assign a function literal to a property of a connection. V8 takes such a function for part of a class, and
 * puts it among the old objects at once. The whole connection, which the function can see, then stays in memory until
 * all old objects are collected.
 */
function endThenDrain(this: ConnectionPort): void {
  this.end()
  drainThenDestroy(this)
}

/** The TCP connection below each TLS connection of ours. */
const carriers = new Attachment<ConnectionPort, Socket>('carrier')

/** Says which TCP connection carries this TLS connection: Node has no documented way to ask. */
export function setCarrier(connection: Socket, carrier: Socket): void {
  carriers.set(connection, carrier)
}

/** The connection below this TLS connection; `connection` itself where there is none, or Node hides it. */
export function carrierOf(connection: ConnectionPort): ConnectionPort {
  return carrierBelow(connection) ?? connection
}

function carrierBelow(connection: ConnectionPort): Socket | undefined {
  return carriers.get(connection) ?? socketBelow(connection)
}

/**
 * Has our half of a TLS connection end with TCP's FIN alone, without TLS's close_notify. Python, wget and Node's fetch
 * close as soon as they have the last byte. Their kernel would answer an unread close_notify with a reset, which is
 * also how it answers for a program that died with half the file unread. A FIN leaves nothing to read. It can't hide a
 * cut either: only the length or the last chunk says that a download is whole (RFC 9112, 9.8).
 *
 * A connection for which `isReset` says true by then is broken, and not ended.
 */
export function endWithoutGoodbye(
  connection: ConnectionPort,
  isReset: (connection: ConnectionPort) => boolean,
): void {
  if (!(connection instanceof TLSSocket)) return
  resets.set(connection, isReset)
  connection._final = endCarrier
}

/** How the end of a TLS connection learns that its peer has reset it. Node's TLS loses such an error behind its last bytes. */
const resets = new Attachment<ConnectionPort, (connection: ConnectionPort) => boolean>('isReset')

function endCarrier(this: Socket, done: (error?: Error | null) => void): void {
  const carrier = carrierBelow(this)
  // Where Node hides the carrier, our half stays open, and we wait for the receiver's own end.
  if (carrier === undefined) done()
  else if (resets.get(this)?.(this) === true) done(new Error('The peer has reset the connection.'))
  else carrier.end(done)
}

/**
 * True if an error is TLS's answer to such an end. OpenSSL 3 sends this alert when it reads a FIN without a
 * close_notify, so its program has read every byte before that. Only receivers that read to the end of the connection
 * do so, such as busybox's wget.
 */
export function isAnswerToOurEnd(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ERR_SSL_TLSV1_ALERT_DECODE_ERROR'
}

/**
 * Resets a connection, so that its peer can't take what it has for the whole. While our half is being closed, libuv
 * refuses a reset and would leave the connection open for good; so the reset waits until that is done.
 */
export function resetConnection(connection: ConnectionPort): void {
  if (connection.writableEnded && !connection.writableFinished && !connection.destroyed) {
    connection.once('finish', () => reset(connection))
  } else {
    reset(connection)
  }
}

function reset(connection: ConnectionPort): void {
  const carrier = carrierOf(connection)
  if (carrier !== connection && !carrier.destroyed) holdDestroy(connection, carrier)
  try {
    carrier.resetAndDestroy()
  } catch {
    // Only TCP can be reset: not a UNIX socket, a stream of the embedder's, or TLS whose carrier Node hides. Their
    // peer finds its body cut short.
    carrier.destroy()
  }
}

/**
 * Node 20 crashes if TLS is destroyed between the reset of its carrier and the carrier's close, while a write is under
 * way. So until then, `destroy` does nothing.
 */
function holdDestroy(connection: ConnectionPort, carrier: ConnectionPort): void {
  connection.destroy = hasEnded
  carrier.once('close', () => {
    Reflect.deleteProperty(connection, 'destroy')
    connection.destroy()
  })
}
