import type { IncomingMessage } from 'node:http'
import {
  EssError,
  HEADERS,
  parseContentDisposition,
  percentDecode,
  QUERY,
  safeContentType,
  safeFileName,
} from '../../shared/index.js'
import { requestedForm } from '../answer/status-body.js'
import type { ResolvedOptions } from '../broker/options.js'
import type { Payload } from '../broker/socket.js'
import { boundaryOf, isForm } from './multipart.js'
import { checkHeaderCount } from './request-head.js'

/**
 * Refuses a sender's request by its head: before a byte of the body is read, and before a 100 (Continue), so a
 * refused upload costs nothing. Throws the EssError.
 */
export function checkSender(request: IncomingMessage, options: ResolvedOptions): void {
  const { headers } = request
  checkHeaderCount(request)
  const coding = headers['content-encoding']
  // Handing the bytes on without their coding would change what they mean (RFC 9110, 8.4).
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    throw new EssError(
      'unsupported-media-type',
      `Expected no Content-Encoding, got ${JSON.stringify(coding)}`,
    )
  }
  // RFC 9110, 14.5: part of a file must not be taken for the whole of it.
  if (headers['content-range'] !== undefined) {
    throw new EssError('bad-request', 'Expected a whole file, got a Content-Range')
  }
  const transferCoding = headers['transfer-encoding']
  if (transferCoding !== undefined && transferCoding.toLowerCase() !== 'chunked') {
    throw new EssError(
      'bad-request',
      `Expected no transfer coding but chunked, got ${JSON.stringify(transferCoding)}`,
    )
  }
  checkUnread(request)
  // A form is larger than its file, whose own size is known when its part is there.
  if (isForm(request)) boundaryOf(request)
  const overhead = isForm(request) ? MAX_FORM_OVERHEAD : 0
  checkSize((declaredLength(headers) ?? 0) - overhead, options)
}

/**
 * Throws EssError `body-already-read` where a host's middleware has read the body before us, or is about to:
 * `isPromised` says that a framework knows of it.
 */
export function checkUnread(request: IncomingMessage, isPromised = false): void {
  const { headers } = request
  if (headers['transfer-encoding'] === undefined && !(Number(headers['content-length']) > 0)) return
  const isTaken =
    isPromised ||
    request.readableDidRead ||
    request.readableFlowing === true ||
    request.listenerCount('data') + request.listenerCount('readable') > 0
  if (!isTaken) return
  throw new EssError(
    'body-already-read',
    'Expected an unread upload, but something in front of the service reads it; mount the service before body parsers and body limits',
  )
}

/** What a form may hold beside its file, in bytes. */
const MAX_FORM_OVERHEAD = 64 * 1024

/** Throws EssError `too-large`; where there is no limit, for more bytes than a number counts exactly. */
export function checkSize(bytes: number | undefined, { maxUploadBytes }: ResolvedOptions): void {
  const limit = maxUploadBytes === 0 ? Number.MAX_SAFE_INTEGER : maxUploadBytes
  if (bytes === undefined || bytes <= limit) return
  throw new EssError('too-large', `Expected at most ${limit} bytes, got ${bytes}`)
}

/** Refuses whoever cannot be given an early response. Throws the EssError that says what to do instead. */
export function checkEarlyResponse(request: IncomingMessage, base: string, options: ResolvedOptions): void {
  const { headers } = request
  // A sender that reads text may go by its exit status alone, and that would be the one of a whole response.
  const couldMiss = options.proxyHidesCuts && requestedForm(request) === 'text'
  if (!options.earlyResponse || couldMiss) {
    throw new EssError(
      'reservation-required',
      `Expected a reservation first, in two steps:\n\n${howToReserve(base)}`,
    )
  }
  if (showsNoAnswer(request)) {
    const instead = options.reservations
      ? `reserve first, in two steps:\n\n${howToReserve(base)}`
      : `send with curl: curl -NT FILE ${base}/`
    throw new EssError(
      'reservation-required',
      `Expected a sender that shows the answer while it sends, got wget2, which shows it at the end; ${instead}`,
    )
  }
  if (request.httpVersion === '1.0') {
    const instead = options.reservations ? `; a reservation works:\n\n${howToReserve(base)}` : ''
    throw new EssError(
      'http-version-not-supported',
      `Expected HTTP/1.1 from a sender, got HTTP/1.0${instead}`,
    )
  }
  // By HTTP/2 they pass on all of it.
  const isChunked = headers['transfer-encoding'] !== undefined && request.httpVersionMajor < 2
  const mayBeCut = isProxied(request) && isChunked && headers.expect === undefined && !options.proxyFullDuplex
  if (mayBeCut) {
    throw new EssError(
      'length-required',
      'Expected a Content-Length, or "Expect: 100-continue", from a sender behind a proxy, got neither; with curl: -H "Expect: 100-continue"',
    )
  }
}

/** True for wget2: its user would see no link, and it exits with 0 when the answer is cut. */
function showsNoAnswer({ headers }: IncomingMessage): boolean {
  return /^wget2\//i.test(headers['user-agent'] ?? '')
}

/** True for a request that says it has passed a proxy. */
export function isProxied({ headers }: IncomingMessage): boolean {
  return PROXY_HEADERS.some((name) => headers[name] !== undefined)
}

/** Any of these says that the request has passed a proxy. */
const PROXY_HEADERS = [
  'via',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
] as const

function howToReserve(base: string): string {
  return `    curl -X POST ${base}/reserve      # prints the link for the receiver, and the address for your upload\n    curl -fT FILE ADDRESS\n`
}

/** What a raw upload says of its file. */
export function readPayload(
  { headers }: IncomingMessage,
  query: URLSearchParams,
  pathName: string | undefined,
): Payload {
  return {
    fileName: fileNameOf(headers, query, pathName),
    contentType: safeContentType(headers['content-type']),
    contentLength: declaredLength(headers),
  }
}

/** Bytes; undefined where it is chunked. A request with neither has no body (RFC 9112, 6.3): a length, too. */
function declaredLength(headers: IncomingMessage['headers']): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers[HEADERS.contentLength] ?? 0)
}

/** The path names the file, or else its Content-Disposition, or else the query. */
export function fileNameOf(
  headers: IncomingMessage['headers'],
  query: URLSearchParams,
  pathName: string | undefined,
): string | undefined {
  const disposition = headers[HEADERS.contentDisposition]
  const names = [
    pathName,
    disposition === undefined ? undefined : parseContentDisposition(disposition),
    query.get(QUERY.filename) ?? undefined,
  ]
  return names
    .map((name) => (name === undefined ? undefined : safeFileName(name)))
    .find((name) => name !== undefined)
}

/** How long a sender's link waits, and how long it was to wait if that is longer than this server allows. */
export interface Ttl {
  readonly ttlMs: number
  readonly askedTtlMs?: number
}

/** How long a sender wants to wait: `?ttl=30`. Throws EssError `bad-request`. */
export function requestedTtl(query: URLSearchParams, maxTtlMs: number): Ttl {
  const text = query.get(QUERY.ttl)
  if (text === null) return { ttlMs: maxTtlMs }
  const askedTtlMs = 1000 * Number(text)
  if (/^\d{1,15}(?:\.\d+)?$/.test(text) && askedTtlMs > 0) {
    return askedTtlMs > maxTtlMs ? { ttlMs: maxTtlMs, askedTtlMs } : { ttlMs: askedTtlMs }
  }
  throw new EssError(
    'bad-request',
    `Expected ttl to be a positive number of seconds, got ${JSON.stringify(text)}`,
  )
}

/**
 * How long a receiver is ready to wait for a socket that is not there yet: `?wait=30` or `Prefer: wait=30`
 * (RFC 7240, 4.3). 0 where it does not say; at most the server's TTL. Throws EssError `bad-request`.
 */
export function requestedWaitMs(request: IncomingMessage, query: URLSearchParams, maxWaitMs: number): number {
  const asked = query.get(QUERY.wait)
  if (asked !== null && !/^\d+(?:\.\d+)?$/.test(asked)) {
    throw new EssError('bad-request', `Expected wait to be a number of seconds, got ${JSON.stringify(asked)}`)
  }
  const seconds = Number(asked ?? preferredWait(request) ?? 0)
  return Math.min(1000 * seconds, maxWaitMs)
}

/** A preference that cannot be read is ignored (RFC 7240, 2). */
function preferredWait({ headers }: IncomingMessage): string | undefined {
  const prefer = headers[HEADERS.prefer]
  if (prefer === undefined) return undefined
  return /(?:^|[,;])\s*wait\s*=\s*"?(\d+)/i.exec([prefer].flat().join(','))?.[1]
}

/** Throws EssError `bad-referer` unless the request comes from a page at or under `required`. */
export function checkReferer({ headers }: IncomingMessage, required: URL | undefined): void {
  if (required === undefined) return
  const { referer = '' } = headers
  const from = URL.canParse(referer) ? new URL(referer) : undefined
  const folder = required.pathname.replace(/\/*$/, '/')
  const isUnder = from?.origin === required.origin && `${from.pathname}/`.startsWith(folder)
  if (!isUnder)
    throw new EssError(
      'bad-referer',
      `Expected a Referer under ${required.href}, got ${JSON.stringify(referer)}`,
    )
}

/**
 * The path segment as its sender meant it. Throws EssError `bad-request` for a percent-encoding that is
 * malformed or not UTF-8.
 */
export function decodeSegment(segment: string): string {
  const decoded = percentDecode(segment)
  if (decoded !== undefined) return decoded
  throw new EssError(
    'bad-request',
    `Expected percent-encoded UTF-8 in the path, got ${JSON.stringify(segment)}`,
  )
}
