import type { IncomingMessage } from 'node:http'
import { acceptsTrailers, EssError, HEADERS, LENGTH_TRAILER } from '../../shared/index.js'
import type { ResponsePort } from '../node/ports.js'

/**
 * Announces the field that will follow a download of unknown length, to a receiver that reads such fields: what
 * passes on a cut as if it were an end cannot make it up. Before the head is written.
 */
export function announceLength(
  request: IncomingMessage,
  response: ResponsePort,
  contentLength: number | undefined,
): void {
  const isWanted = contentLength === undefined && canTell(request)
  if (isWanted) response.setHeader('Trailer', LENGTH_TRAILER)
}

/** Keeps the promise, where it was given: before the end of a response that is whole. */
export function addLength(response: ResponsePort, bytes: number): void {
  if (response.hasHeader('Trailer')) response.addTrailers({ [LENGTH_TRAILER]: String(bytes) })
}

/** Throws EssError `length-unknown` for a receiver that could not tell a cut download from a whole one. */
export function checkEnd(request: IncomingMessage, contentLength: number | undefined): void {
  if (contentLength !== undefined || canTell(request)) return
  throw new EssError(
    'length-unknown',
    'Expected a receiver that reads trailers, because nobody knows how long this is, and a proxy here hides a cut; receive it with ess get, or ask for a file instead of a pipe',
  )
}

function canTell({ headers }: IncomingMessage): boolean {
  return acceptsTrailers([headers[HEADERS.te] ?? []].flat().join(','))
}
