import type { IncomingMessage } from 'node:http'
import { ROUTES } from '../../shared/index.js'
import { OPTIONS } from '../broker/option-table.js'
import type { ResponsePort } from '../node/ports.js'
import { requestedHost } from '../request/public-url.js'

/** In seconds. */
export const HSTS_MAX_AGE = OPTIONS.hstsMaxAge.default

/** A name without a port, or with port 443. Browsers ignore the header for an address (RFC 6797, 8.1.1). */
const WHOLE_HOST = /^[^:[\]]+(?::443)?$/

/**
 * Tells a browser to use HTTPS alone for the next `maxAge` seconds (Strict-Transport-Security, RFC 6797).
 *
 * A browser applies this to every port of the host. So a server on another port must not send it: that would cut off
 * everything the host serves by plain HTTP. It doesn't include subdomains, which may belong to others. Programs
 * forget the header, so they don't get it, and their transfers carry a line less.
 */
export function sayHsts(request: IncomingMessage, response: ResponsePort, maxAge: number): void {
  const { headers, url } = request
  const isBrowser = headers['sec-fetch-mode'] !== undefined || /\btext\/html\b/i.test(headers.accept ?? '')
  if (!isBrowser && url !== ROUTES.root) return
  if (WHOLE_HOST.test(requestedHost(request) ?? ''))
    response.setHeader('Strict-Transport-Security', `max-age=${maxAge}`)
}
