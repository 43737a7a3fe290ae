import { Socket } from 'node:net'
import { isBrought } from './origin.js'
import type { ConnectionPort } from './ports.js'

/**
 * What a node says over a link when its receiver has everything, before it closes its half. That end alone means nothing:
 * the kernel closes the links of a node that was killed in as good an order. An HTTP parser skips an empty line behind the
 * last request of a connection, and nothing else comes there.
 */
export const LAST_WORD = '\r\n'

/** Whether the receiver behind a link has been vouched for. Other connections speak for themselves. */
export interface WordOfLink {
  /** All of the answer is on its way: from now on the word may come. */
  expect(): void
  /** True if it has come, and for any connection that is no link. */
  isThere(): boolean
}

/** Listens for the last word over this connection, if it is a link. */
export function wordOfLink(connection: ConnectionPort): WordOfLink {
  if (!isBrought(connection) || !(connection instanceof Socket))
    return { expect: () => undefined, isThere: () => true }
  let before = Number.POSITIVE_INFINITY
  return {
    expect: () => {
      before = connection.bytesRead
    },
    isThere: () => connection.bytesRead > before,
  }
}
