import type { IncomingMessage } from 'node:http'
import type { StatusSink } from '../answer/status-body.js'
import type { ResponsePort } from '../node/ports.js'
import { RawBody } from '../relay/gears/raw-body.js'
import type { Relay } from '../relay/relay.js'
import type { Part, SenderBody } from '../relay/transfer.js'
import type { Payload } from '../request/payload.js'
import type { Reach } from '../request/resume.js'

/** The file in a sender's request: the body itself, or one part of a form. */
export interface SenderFile {
  readonly payload: Payload
  readonly body: SenderBody
}

/**
 * One request of the sender, with the part of its sequence of bytes that it brings. A socket has one at a time. The
 * first begins at byte 0; after a cut, or for a sender that sends in pieces, the next one goes on.
 */
export interface Segment extends SenderFile, Part {
  /** What the sender can do if this request is cut. */
  readonly reach: Reach
  readonly request: IncomingMessage
  readonly response: ResponsePort
  /** Tells this sender what happens. */
  readonly status: StatusSink
}

/** Stops reading the body. Anything left of it must not keep the sender from reading its verdict. */
export function releaseBody({ body }: Segment): void {
  if (body instanceof RawBody) body.release()
}

/**
 * Stops reading the body of a sender that stays, and waits for its receiver. What still comes waits in the kernel, so
 * that its sender waits too.
 */
export function holdBody({ body }: Segment): void {
  if (body instanceof RawBody) body.release()
  else body.stream.pause()
}

/** True when the whole body was read below Node's parser, which takes the request for incomplete. */
export function isReadWhole({ body }: Segment): boolean {
  return body instanceof RawBody && body.isWhole
}

/** False when this sender may have gone without our having been told: only writing to it will tell. */
export function isSenderThere({ request }: Segment, relay: Relay): boolean {
  const connection = request.socket
  // With the whole body here, Node reads on and soon notices a sender that left. What it knows already reaches us later
  // in this turn.
  return request.complete ? !connection.destroyed : relay.isSenderThere(connection)
}
