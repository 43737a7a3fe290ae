import type { IncomingMessage } from 'node:http'
import { acceptsTrailers, EssError, HEADERS, LENGTH_TRAILER } from '../../shared/index.js'
import type { ResponsePort } from '../node/ports.js'

/**
 * Announces a trailer field with the length, for a download of unknown length to a receiver that reads trailers. A proxy
 * that passes on a cut as if it were an end can't make that field up. Call it before the head is written.
 */
export function announceLength(
  request: IncomingMessage,
  response: ResponsePort,
  contentLength: number | undefined,
): void {
  const isWanted = contentLength === undefined && canTell(request)
  if (isWanted) response.setHeader('Trailer', LENGTH_TRAILER)
}

/** Adds the field, if it was announced. Call it before the end of a whole response. */
export function addLength(response: ResponsePort, bytes: number): void {
  if (response.hasHeader('Trailer')) response.addTrailers({ [LENGTH_TRAILER]: String(bytes) })
}

/** Throws EssError `length-unknown` if this receiver couldn't tell a cut download from a whole one. */
export function checkEnd(request: IncomingMessage, contentLength: number | undefined): void {
  if (contentLength !== undefined || canTell(request)) return
  throw new EssError(
    'length-unknown',
    'The size of this file is not known, and a proxy in front of this server would hide from you that the download broke off. Receive it with ess get, or ask the sender for a file instead of a pipe.',
  )
}

function canTell({ headers }: IncomingMessage): boolean {
  return acceptsTrailers([headers[HEADERS.te] ?? []].flat().join(','))
}
