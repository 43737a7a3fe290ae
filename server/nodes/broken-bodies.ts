import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Attachment } from '../node/attachment.js'

/** How a body broke off: by its client's end in the middle of it, or by bytes that are no chunk. */
export type Break = 'end' | 'bad bytes'

/** What is known of a body that another node may have to take. */
interface Watch {
  first?: Break
  tell?: (how: Break) => void
}

const watches = new Attachment<Socket, Watch | undefined>('broken bodies')

/**
 * From now on, what Node's parser can't read of this request's chunked body is left to the node that answers: it has to
 * find the same, and answers as it answers a client of its own.
 */
export function watchBody({ headers, socket }: IncomingMessage): void {
  if (headers['transfer-encoding'] !== undefined) watches.set(socket, {})
}

/** Calls `tell` when the body breaks off; at once if it has. It may have done so while its node was looked for. */
export function onBrokenBody(connection: Socket, tell: (how: Break) => void): void {
  const watch = watches.get(connection)
  if (watch === undefined) return
  watch.tell = tell
  if (watch.first !== undefined) tell(watch.first)
}

/** The request is over. False if its body broke off: then nothing more can be read from this connection. */
export function leaveBody(connection: Socket): boolean {
  if (watches.get(connection)?.first !== undefined) return false
  watches.set(connection, undefined)
  return true
}

/** See `Nodes.breakOff`. */
export function breakOffBody(connection: Socket, how: Break): boolean {
  const watch = watches.get(connection)
  if (watch === undefined) return false
  // Of bad bytes, Node tells again and again.
  if (watch.first === undefined) {
    watch.first = how
    watch.tell?.(how)
  }
  return true
}
