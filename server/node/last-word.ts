import { Socket } from 'node:net'
import { isBrought } from './origin.js'
import type { RequestPort } from './ports.js'

/**
 * What a node says over a link when its receiver has everything, before it closes its half. That end alone means nothing:
 * the kernel closes the links of a node that was killed in as good an order. An HTTP parser skips an empty line behind the
 * last request of a connection, and nothing else comes there.
 */
export const LAST_WORD = '\r\n'

/** Whether the receiver behind a link has been vouched for. Other connections speak for themselves. */
export interface WordOfLink {
  /** All of the answer is on its way: what comes from now on is the word, though the request had no end. */
  expect(): void
  /** True if it has come, and for any connection that is no link. */
  isThere(): boolean
}

/**
 * Listens for the last word over the connection of this request, if it is a link. Nothing but that comes behind the
 * request, and it may come before this process has noticed that its last byte is out.
 */
export function wordOfLink(request: RequestPort): WordOfLink {
  const { socket: connection } = request
  if (!isBrought(connection) || !(connection instanceof Socket))
    return { expect: () => undefined, isThere: () => true }
  let before = Number.POSITIVE_INFINITY
  const expect = () => {
    before = Math.min(before, connection.bytesRead)
  }
  if (request.complete) expect()
  else request.once('end', expect)
  return { expect, isThere: () => connection.bytesRead > before }
}
