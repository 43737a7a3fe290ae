import type { IncomingMessage, ServerResponse } from 'node:http'
import { ROUTES } from '../../shared/index.js'
import { requestedHost } from '../request/public-url.js'

/** In seconds: long enough for who comes once a month, short enough to be waited for by who goes back to plain HTTP. */
export const HSTS_MAX_AGE = 30 * 24 * 60 * 60

/** A name, without a port or with the one of HTTPS; browsers ignore the field for an address (RFC 6797, 8.1.1). */
const WHOLE_HOST = /^[^:[\]]+(?::443)?$/

/**
 * Tells a browser to come by HTTPS alone from now on (Strict-Transport-Security, RFC 6797), for `maxAge` seconds.
 *
 * A browser then takes HTTPS at every port of that host, so a server on another port has no say in it: it would cut off
 * whatever is served there by plain HTTP. And it is not said of subdomains, which are others' it may be. Programs, which
 * forget it, are not told, and their transfers carry a line less.
 */
export function sayHsts(request: IncomingMessage, response: ServerResponse, maxAge: number): void {
  const { headers, url } = request
  const isBrowser = headers['sec-fetch-mode'] !== undefined || /\btext\/html\b/i.test(headers.accept ?? '')
  if (!isBrowser && url !== ROUTES.root) return
  if (WHOLE_HOST.test(requestedHost(request) ?? ''))
    response.setHeader('Strict-Transport-Security', `max-age=${maxAge}`)
}
