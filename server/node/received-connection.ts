import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { setReading } from './socket-inside.js'

/** Where a stream keeps how much it reads ahead; its documentation only says how to read that. */
interface StreamInside {
  readonly _readableState?: { highWaterMark?: number }
}

/**
 * Makes a connection that came from another process like one that an HTTP server of this process has accepted: it
 * outlives its peer's half, and reads no further ahead than the server's option says.
 */
export function likeAccepted(connection: Socket, readAheadBytes: number): void {
  connection.allowHalfOpen = true
  // The same object, with a member that Node's types leave out.
  const { _readableState: state } = connection as unknown as StreamInside
  if (typeof state?.highWaterMark === 'number') state.highWaterMark = readAheadBytes
}

/**
 * Stops reading a connection that is handed on to another process. Node begins to read a received one at once, and what
 * this process reads is lost for the other.
 */
export function leaveUnread(connection: Socket): void {
  connection.pause()
  // A paused stream still reads ahead, in a later turn.
  connection._read = readNothing
  setReading(connection, false)
}

/** Not a literal: see `endGently`. */
function readNothing(): void {}

/**
 * Says that this connection belongs to no server. Node would otherwise count the connections that a server gives to
 * another process, and ask that one about them when the server closes.
 */
export function disown(connection: Socket): void {
  Object.assign(connection, { server: null, _server: null })
}

/**
 * Makes an HTTP server ready whose connections are given to it, and which listens nowhere. At this event Node begins to
 * look for clients that take too long for their head.
 */
export function openWithoutPort(server: Server): void {
  server.emit('listening')
}
