import type { IncomingMessage } from 'node:http'
import { EssError, percentDecode, ROUTES } from '../../shared/index.js'
import type { ResolvedOptions } from '../broker/options.js'

/**
 * What may be asked of each address, for the `Allow` of a 405 (RFC 9110, 15.5.6). In the order in which they are
 * tried: a `PUT` to what looks like a file's name is an upload, even if the name is `health`.
 */
export const ALLOWED_METHODS = {
  [ROUTES.root]: 'GET, HEAD, POST, PUT, OPTIONS',
  [ROUTES.health]: 'GET, HEAD, PUT, OPTIONS',
  [ROUTES.reserve]: 'GET, POST, PUT, OPTIONS',
  [ROUTES.uploadResource]: 'PUT, POST, DELETE, OPTIONS',
  [ROUTES.uploadEvents]: 'GET, OPTIONS',
  [ROUTES.download]: 'GET, HEAD, POST, PUT, OPTIONS',
  [ROUTES.namedDownload]: 'GET, HEAD, POST, OPTIONS',
} as const

/** An address for which there is an `Allow`. */
export type Address = keyof typeof ALLOWED_METHODS

/** The addresses that are there with these options, in the order in which they are tried. */
export function addressesOf({ reservations }: ResolvedOptions): Address[] {
  const forReservations: readonly string[] = [ROUTES.reserve, ROUTES.uploadResource, ROUTES.uploadEvents]
  // The keys of the table above.
  const all = Object.keys(ALLOWED_METHODS) as Address[]
  return all.filter((address) => reservations || !forReservations.includes(address))
}

/**
 * False for a request that is none of the service's, and left to the rest of its embedder's app: its path is
 * neither one of ours nor an id, and it sends no file. `segments` are those of its path below the mount.
 */
export function isOurs(
  { method, headers }: IncomingMessage,
  segments: readonly string[],
  { ids, reservations }: ResolvedOptions,
): boolean {
  const [first = '', , third] = segments
  const isId = ids.matches(percentDecode(first) ?? '')
  if (segments.length === 1) {
    // A preflight is for the request that follows it.
    const intent = method === 'OPTIONS' ? headers['access-control-request-method'] : method
    return isId || intent === 'PUT' || ['', 'health', ...(reservations ? ['reserve'] : [])].includes(first)
  }
  const isUpload = reservations && first === 'uploads'
  if (segments.length === 2) return isId || isUpload
  return segments.length === 3 && isUpload && third === 'events'
}

/**
 * The segments of a request's path as they came, still encoded; one empty segment for the root. A framework's own path
 * is decoded already, and a `%` that was malformed is not to be seen in it.
 */
export function segmentsOf({ url = '/' }: IncomingMessage): string[] {
  const path = withoutOrigin(url)
  const end = path.indexOf('?')
  return path.slice(path.startsWith('/') ? 1 : 0, end < 0 ? undefined : end).split('/')
}

/** The query of a request's target. */
export function queryOf({ url = '/' }: IncomingMessage): URLSearchParams {
  const at = url.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
}

/** A proxy is asked for a whole URL (RFC 9112, 3.2.2), and so may we be. */
function withoutOrigin(url: string): string {
  return url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?#]*/i, '')
}

/** Decodes a segment. Throws EssError `bad-request` for a percent-encoding that is malformed or not UTF-8. */
export function decodeSegment(segment: string): string {
  const decoded = percentDecode(segment)
  if (decoded !== undefined) return decoded
  throw new EssError(
    'bad-request',
    `Expected percent-encoded UTF-8 in the path, got ${JSON.stringify(segment)}`,
  )
}
