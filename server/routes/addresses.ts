import type { IncomingMessage } from 'node:http'
import { EssError, percentDecode, ROUTES, UPLOAD_TOKEN_PATTERN } from '../../shared/index.js'
import type { ResolvedOptions } from '../broker/options.js'

/** The name of an address in `ROUTES`. An upload by name has none of its own: it is a `PUT` to one segment. */
export type Route = Exclude<keyof typeof ROUTES, 'upload'>

/** One address, read from a request's path. */
export interface Address {
  readonly route: Route
  /** The segment that holds the id, the token or the file's name, still percent-encoded. Empty for the root. */
  readonly key: string
}

/** The root, where senders come. */
export const ROOT: Address = { route: 'root', key: '' }

/** An address as it is matched: fixed words and parameters, which begin with a colon. */
interface Shape {
  readonly route: Route
  readonly segments: readonly string[]
  readonly keyAt: number
}

/** In the order in which they are tried: a fixed word is never taken for an id. */
const ORDER: readonly Route[] = [
  'root',
  'health',
  'reserve',
  'clientPackage',
  'clientPackageOfVersion',
  'webAsset',
  'closedDownload',
  'closedUpload',
  'uploadResource',
  'uploadEvents',
  'download',
  'namedDownload',
]

type Switches = Pick<ResolvedOptions, 'reservations' | 'serveClient' | 'resumeWithinMs' | 'web'>

/** Where these are off, the words are names and ids like any other. */
const SWITCHED: Readonly<Partial<Record<Route, (switches: Switches) => boolean>>> = {
  // Without `reservations`, the page alone may reserve.
  reserve: ({ reservations, web }) => reservations || web,
  uploadResource: hasUploads,
  uploadEvents: hasUploads,
  clientPackage: ({ serveClient }) => serveClient,
  clientPackageOfVersion: ({ serveClient }) => serveClient,
  webAsset: ({ web }) => web,
  closedDownload: ({ web }) => web,
  closedUpload: ({ web }) => web,
}

function hasUploads({ reservations, resumeWithinMs, web }: Switches): boolean {
  return reservations || resumeWithinMs > 0 || web
}

const SHAPES = ORDER.map(shapeOf)

function shapeOf(route: Route): Shape {
  const segments = splitPath(ROUTES[route])
  return { route, segments, keyAt: Math.max(0, segments.findIndex(isParameter)) }
}

/** Reads the segments of a path below the mount. Undefined where no address of the service has that shape. */
export function addressOf(segments: readonly string[], switches: Switches): Address | undefined {
  const shape = SHAPES.find((candidate) => isOn(candidate, switches) && fits(segments, candidate))
  return shape && { route: shape.route, key: segments[shape.keyAt] ?? '' }
}

function isOn({ route }: Shape, switches: Switches): boolean {
  return SWITCHED[route]?.(switches) ?? true
}

function fits(segments: readonly string[], shape: Shape): boolean {
  return (
    segments.length === shape.segments.length &&
    shape.segments.every((expected, at) => isParameter(expected) || expected === segments[at])
  )
}

function isParameter(segment: string): boolean {
  return segment.startsWith(':')
}

/**
 * False for a request that the embedder's own app has to answer: one segment or two that are no id, and no `PUT` that
 * sends a file. The fixed words are always the service's.
 */
export function isOurs(
  { route, key }: Address,
  { method, headers }: IncomingMessage,
  { ids, reservations }: Pick<ResolvedOptions, 'ids' | 'reservations'>,
): boolean {
  // Without reservations an embedder may have uploads of its own.
  if ((route === 'uploadResource' || route === 'uploadEvents') && !reservations)
    return UPLOAD_TOKEN_PATTERN.test(key)
  if (route !== 'download' && route !== 'namedDownload') return true
  if (ids.matches(percentDecode(key) ?? '')) return true
  // A preflight asks for the request that follows it.
  const intent = method === 'OPTIONS' ? headers['access-control-request-method'] : method
  return route === 'download' && intent === 'PUT'
}

/** The fixed words of one segment: what a quick look must not take for an id. */
const WORDS: readonly string[] = [ROUTES.health, ROUTES.reserve]

/** Nothing percent-encoded, no query, no file name. */
const ONE_SEGMENT = /^\/([A-Za-z0-9_-]+)$/

/**
 * The address in a request's target, where one look tells: the root or a link of one plain segment. Undefined where
 * `addressOf` has to read the path; what this finds, that finds too.
 */
export function plainAddressOf(url: string): Address | undefined {
  if (url === ROUTES.root) return ROOT
  const key = WORDS.includes(url) ? undefined : ONE_SEGMENT.exec(url)?.[1]
  return key === undefined ? undefined : { route: 'download', key }
}

/**
 * The segments of a request's path, still encoded; one empty segment for the root. They come from `url`, because a
 * framework has decoded its own path already, which hides a malformed `%`.
 */
export function segmentsOf({ url = '/' }: IncomingMessage): string[] {
  return splitPath(pathOf(url))
}

/** The path in a request's target. */
export function pathOf(target: string): string {
  const path = withoutOrigin(target)
  const end = path.indexOf('?')
  return end < 0 ? path : path.slice(0, end)
}

function splitPath(path: string): string[] {
  return (path.startsWith('/') ? path.slice(1) : path).split('/')
}

/** The query of a request's target. */
export function queryOf({ url = '/' }: IncomingMessage): URLSearchParams {
  const at = url.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
}

/** A client may send a whole URL, as it does to a proxy (RFC 9112, 3.2.2). */
function withoutOrigin(url: string): string {
  return url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?#]*/i, '')
}

/** Decodes a segment. Throws EssError `bad-request` for a percent-encoding that is malformed or not UTF-8. */
export function decodeSegment(segment: string): string {
  const decoded = percentDecode(segment)
  if (decoded !== undefined) return decoded
  throw new EssError(
    'bad-request',
    `The address is not percent-encoded UTF-8 at ${JSON.stringify(segment)}. Check the link for a typo.`,
  )
}
