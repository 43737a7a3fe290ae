import type { IncomingMessage } from 'node:http'
import {
  EssError,
  HEADERS,
  parseContentDisposition,
  percentDecode,
  QUERY,
  safeContentType,
  safeFileName,
} from '../shared/index.js'
import type { ResolvedOptions } from './options.js'
import type { Payload } from './socket.js'

/** What a sender's request head asks for, checked. */
export interface Opening {
  readonly payload: Payload
  readonly ttlMs: number
}

/**
 * Reads the head of a sender's request. `pathName` is the file name in the path, decoded.
 * Throws the EssError to refuse it with: before a byte of the body is read, and before a 100 (Continue), so a
 * refused upload costs nothing.
 */
export function readOpening(
  { headers, httpVersionMajor, httpVersionMinor }: IncomingMessage,
  query: URLSearchParams,
  pathName: string | undefined,
  options: ResolvedOptions,
): Opening {
  if (httpVersionMajor === 1 && httpVersionMinor === 0) {
    throw new EssError('http-version-not-supported', 'Expected HTTP/1.1 from a sender, got HTTP/1.0')
  }
  if (/^multipart\/form-data\b/i.test(headers['content-type'] ?? '')) {
    throw new EssError(
      'unsupported-media-type',
      'Expected the file itself as the body (curl -T file), got a form',
    )
  }
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
  const declared = headers[HEADERS.contentLength]
  const contentLength = declared === undefined ? undefined : Number(declared)
  const isChunked = headers['transfer-encoding'] !== undefined
  const { maxUploadBytes } = options
  if (contentLength !== undefined && maxUploadBytes > 0 && contentLength > maxUploadBytes) {
    throw new EssError('too-large', `Expected at most ${maxUploadBytes} bytes, got ${contentLength}`)
  }
  return {
    payload: {
      fileName: fileNameOf(headers, query, pathName),
      contentType: safeContentType(headers['content-type']),
      // A request with neither has no body (RFC 9112, 6.3), and that is a length too.
      contentLength: isChunked ? undefined : (contentLength ?? 0),
    },
    ttlMs: requestedTtlMs(query, options.ttlMs),
  }
}

/** The path names the file, or else its Content-Disposition, or else the query. */
function fileNameOf(
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

function requestedTtlMs(query: URLSearchParams, maxTtlMs: number): number {
  const text = query.get(QUERY.ttl)
  if (text === null) return maxTtlMs
  const seconds = Number(text)
  if (/^\d+(?:\.\d+)?$/.test(text) && seconds > 0) return Math.min(1000 * seconds, maxTtlMs)
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
  const prefer = [request.headers[HEADERS.prefer] ?? []].flat().join(',')
  // A preference that cannot be read is ignored (RFC 7240, 2).
  const seconds = Number(asked ?? /(?:^|[,;])\s*wait\s*=\s*"?(\d+)/i.exec(prefer)?.[1] ?? 0)
  return Math.min(1000 * seconds, maxWaitMs)
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
