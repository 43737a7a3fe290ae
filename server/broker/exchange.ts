import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import type { ResponsePort } from '../node/ports.js'

/** A request for a verb of the service: Node's own objects, because only they let a transfer end truthfully. */
export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ResponsePort
  readonly query: URLSearchParams
}

/** A request whose answer has links to this service in it. */
export interface Call extends Exchange {
  /** The path under which the service is mounted: empty, or like `/share`. */
  readonly basePath: string
}

/**
 * True when no answer can be written any more: the client has left, what followed its head was malformed and has been
 * refused, or a host that wouldn't wait for us has answered.
 */
export function hasEnded({ request, response }: Exchange): boolean {
  return !request.socket.writable || response.headersSent
}

/**
 * Throws EssError `bad-request` for a request sent before the one ahead of it was answered. It would wait, unseen, for
 * a transfer to end.
 */
export function refusePipelined(response: ResponsePort): void {
  if (response.socket === null)
    throw new EssError(
      'bad-request',
      'This request came before the one ahead of it was answered. Wait for that answer, or use another connection.',
    )
}
