import { Socket } from 'node:net'
import { isBrought } from './origin.js'
import type { RequestPort } from './ports.js'

/**
 * What a node says over a link of its receiver, before it closes its half: that it has everything, or that it
 * has not confirmed so. That end alone means nothing: the kernel closes the links of a node that was killed in as good an order.
 * An HTTP parser skips empty lines behind the last request of a connection, and nothing else comes there. A word that is
 * cut says less, never more.
 */
export const LAST_WORDS = { unconfirmed: '\r\n', confirmed: '\r\n\r\n' } as const

/** What is said of the receiver behind a link. Other connections speak for themselves. */
export interface WordOfLink {
  /** All of the answer is on its way: what comes from now on is the word, though the request had no end. */
  expect(): void
  /** What was said by now; undefined if nothing was. Of any connection that is no link, `confirmed`. */
  said(): keyof typeof LAST_WORDS | undefined
}

/**
 * Listens for the last word over the connection of this request, if it is a link. Nothing but that comes behind the
 * request, and it may come before this process has noticed that its last byte is out.
 */
export function wordOfLink(request: RequestPort): WordOfLink {
  const { socket: connection } = request
  if (!isBrought(connection) || !(connection instanceof Socket))
    return { expect: () => undefined, said: () => 'confirmed' }
  let before = Number.POSITIVE_INFINITY
  const expect = () => {
    before = Math.min(before, connection.bytesRead)
  }
  if (request.complete) expect()
  else request.once('end', expect)
  return { expect, said: () => wordOf(connection.bytesRead - before) }
}

function wordOf(bytes: number): ReturnType<WordOfLink['said']> {
  if (bytes >= LAST_WORDS.confirmed.length) return 'confirmed'
  return bytes > 0 ? 'unconfirmed' : undefined
}
