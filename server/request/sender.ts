import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import { isProxied } from './client-address.js'
import { boundaryOf, isForm } from './multipart.js'
import { declaredLength, requestedForm } from './payload.js'
import { checkHeaderCount } from './request-head.js'

/** The options that say which senders are refused. */
interface SenderOptions {
  readonly earlyResponse: boolean
  readonly reservations: boolean
  readonly proxyFullDuplex: boolean
  readonly proxyHidesCuts: boolean
}

/** The largest file, in bytes; 0 for no limit. */
interface SizeLimit {
  readonly maxUploadBytes: number
}

/**
 * Checks the head of a sender's request. Throws the EssError to refuse it with: before a byte of the body is read, and
 * before a 100 (Continue), so that a refused upload costs nothing.
 */
export function checkSender(request: IncomingMessage, options: SizeLimit): void {
  const { headers } = request
  checkHeaderCount(request)
  const coding = headers['content-encoding']
  // The receiver would get the coded bytes without their coding, and so another file (RFC 9110, 8.4).
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    throw new EssError(
      'unsupported-media-type',
      `Expected no Content-Encoding, got ${JSON.stringify(coding)}`,
    )
  }
  // A part of a file must not be taken for the whole (RFC 9110, 14.5).
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
  // A form is larger than its file, and the file's own size isn't known yet.
  if (isForm(request)) boundaryOf(request)
  const overhead = isForm(request) ? MAX_FORM_OVERHEAD : 0
  checkSize((declaredLength(headers) ?? 0) - overhead, options)
}

/**
 * Throws EssError `body-already-read` if a host's middleware has read the body, or is about to: `isPromised` says that
 * a framework has promised it the body.
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

/** How many bytes a form may have beside its file. */
const MAX_FORM_OVERHEAD = 64 * 1024

/** Throws EssError `too-large`. Without a limit, that is for more bytes than a number can count exactly. */
export function checkSize(bytes: number | undefined, { maxUploadBytes }: SizeLimit): void {
  const limit = maxUploadBytes === 0 ? Number.MAX_SAFE_INTEGER : maxUploadBytes
  if (bytes === undefined || bytes <= limit) return
  throw new EssError('too-large', `Expected at most ${limit} bytes, got ${bytes}`)
}

/** Throws an EssError for a sender that can't use an early response. It says what to do instead. */
export function checkEarlyResponse(request: IncomingMessage, base: string, options: SenderOptions): void {
  const { headers } = request
  // A sender that reads text may go by its exit status alone, and a hidden cut leaves that at 0.
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
  // Over HTTP/2 these proxies pass on the whole body.
  const isChunked = headers['transfer-encoding'] !== undefined && request.httpVersionMajor < 2
  const mayBeCut = isProxied(request) && isChunked && headers.expect === undefined && !options.proxyFullDuplex
  if (mayBeCut) {
    throw new EssError(
      'length-required',
      'Expected a Content-Length, or "Expect: 100-continue", from a sender behind a proxy, got neither; with curl: -H "Expect: 100-continue"',
    )
  }
}

/** True for wget2. Its user would see no link, and it exits with 0 when the answer is cut. */
function showsNoAnswer({ headers }: IncomingMessage): boolean {
  return /^wget2\//i.test(headers['user-agent'] ?? '')
}

function howToReserve(base: string): string {
  return `    curl -X POST ${base}/reserve      # prints the link for the receiver, and the address for your upload\n    curl -fT FILE ADDRESS\n`
}
