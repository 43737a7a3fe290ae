import type { IncomingMessage } from 'node:http'
import { pathOf, segmentsOf } from './addresses.js'

/** What Express and Connect add to a request when they strip the mount's path from its `url`. */
interface Mounted {
  readonly baseUrl?: unknown
  readonly originalUrl?: unknown
}

/**
 * The part of a request's path in front of `template`, the route that matched. It's encoded for use in a link, and has
 * no final slash. It comes from the request rather than from the mount, which may be a pattern.
 */
export function mountOf(request: IncomingMessage, template: string): string {
  const { baseUrl, originalUrl, url } = request as IncomingMessage & Mounted
  // Express tells what it has stripped. Hono strips nothing: all in front of our route is its mount.
  const stripped = typeof baseUrl === 'string' ? baseUrl : strippedPath(originalUrl, url)
  const segments = segmentsOf(request)
  const own = countSegments(template)
  // The root may be asked for with its final slash or without.
  if (own === 0) while (segments.at(-1) === '') segments.pop()
  const inHono = segments.slice(0, Math.max(0, segments.length - own))
  return encodePath([stripped, ...inHono].join('/').replace(/\/+$/, ''))
}

/** The path that the client asked for, as it wrote it, whatever a framework has stripped. */
export function pathSeenByClient(request: IncomingMessage): string {
  const { originalUrl, url = '/' } = request as IncomingMessage & Mounted
  return pathOf(typeof originalUrl === 'string' ? originalUrl : url)
}

function countSegments(template: string): number {
  return template.split('/').filter((segment) => segment !== '').length
}

/** Connect keeps the whole URL as `originalUrl`, and the part after the mount as `url`: `/` if that is empty. */
function strippedPath(originalUrl: unknown, url = '/'): string {
  if (typeof originalUrl !== 'string') return ''
  const left = [url, url.replace(/^\/(?=\?|$)/, '')].find((part) => originalUrl.endsWith(part))
  return left === undefined ? '' : originalUrl.slice(0, originalUrl.length - left.length)
}

/** Matches characters that a URL's path can't contain, and those that are encoded already (RFC 3986, 3.3 and 2.1). */
const NO_PATH = /%[\da-f]{2}|[^\w/!$&'()*+,;=:@.~-]/giu

/** Encodes a request's path for use in a link. */
export function encodePath(path: string): string {
  return path.replace(NO_PATH, (part) =>
    part.startsWith('%') && part.length > 1 ? part.toUpperCase() : encodeURIComponent(part.toWellFormed()),
  )
}
