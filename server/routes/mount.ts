import type { IncomingMessage } from 'node:http'
import { segmentsOf } from './addresses.js'

/** What frameworks that strip the mount's path from `url` leave beside it: Express and Connect. */
interface Mounted {
  readonly baseUrl?: unknown
  readonly originalUrl?: unknown
}

/**
 * The path that a request was asked for in front of `template`, which is the route of ours that matched it; as it may
 * stand in a link, without a final slash. Not what it is mounted under: that may be a pattern.
 */
export function mountOf(request: IncomingMessage, template: string): string {
  const { baseUrl, originalUrl, url } = request as IncomingMessage & Mounted
  // Express says what it has taken away. Hono takes nothing: all in front of our route is its mount.
  const stripped = typeof baseUrl === 'string' ? baseUrl : strippedPath(originalUrl, url)
  const segments = segmentsOf(request)
  while (segments.at(-1) === '') segments.pop()
  const inHono = segments.slice(0, Math.max(0, segments.length - countSegments(template)))
  return encodePath([stripped, ...inHono].join('/').replace(/\/+$/, ''))
}

function countSegments(template: string): number {
  return template.split('/').filter((segment) => segment !== '').length
}

/** Connect keeps the whole URL as `originalUrl`, and leaves the part after the mount in `url`: `/` where it is empty. */
function strippedPath(originalUrl: unknown, url = '/'): string {
  if (typeof originalUrl !== 'string') return ''
  const left = [url, url.replace(/^\/(?=\?|$)/, '')].find((part) => originalUrl.endsWith(part))
  return left === undefined ? '' : originalUrl.slice(0, originalUrl.length - left.length)
}

/** What can't stand in the path of a URL as it is, and what is encoded already (RFC 3986, 3.3 and 2.1). */
const NO_PATH = /%[\da-f]{2}|[^\w/!$&'()*+,;=:@.~-]/giu

/** The path of a request as it may stand in a link. */
function encodePath(path: string): string {
  return path.replace(NO_PATH, (part) =>
    part.startsWith('%') && part.length > 1 ? part.toUpperCase() : encodeURIComponent(part.toWellFormed()),
  )
}
