import type { IncomingMessage } from 'node:http'
import { EssError, formatAgainstLimit } from '../../shared/index.js'
import { uploadLimit } from '../answer/draft-fields.js'
import { isProxied } from './client-address.js'
import { boundaryOf, isForm } from './multipart.js'
import { notesOf } from './notes.js'
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
      `The upload is encoded (Content-Encoding: ${coding}), and the receiver would get it so. Send the file as it is, without that header.`,
    )
  }
  // A part of a file must not be taken for the whole (RFC 9110, 14.5).
  if (headers['content-range'] !== undefined) {
    throw new EssError(
      'bad-request',
      'The upload is a part of a file (it has a Content-Range). Send the whole file.',
    )
  }
  const transferCoding = headers['transfer-encoding']
  if (transferCoding !== undefined && transferCoding.toLowerCase() !== 'chunked') {
    throw new EssError(
      'bad-request',
      `The upload has the transfer coding ${JSON.stringify(transferCoding)}, and this server knows only chunked. Send it with chunked, or with a Content-Length.`,
    )
  }
  checkUnread(request)
  notesOf(headers)
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
    'Something in front of this service has read the upload, so its bytes are gone. The operator must mount the service before body parsers and body limits.',
  )
}

/** How many bytes a form may have beside its file. */
const MAX_FORM_OVERHEAD = 64 * 1024

/** Throws EssError `too-large`. Without a limit, that is for more bytes than a number can count exactly. */
export function checkSize(bytes: number | undefined, { maxUploadBytes }: SizeLimit): void {
  const limit = maxUploadBytes === 0 ? Number.MAX_SAFE_INTEGER : maxUploadBytes
  if (bytes === undefined || bytes <= limit) return
  const [size, most] = formatAgainstLimit(bytes, limit)
  const next = maxUploadBytes === 0 ? '' : ' Only its operator can raise that (--max-upload-bytes).'
  throw new EssError('too-large', `The file is ${size}; this server takes at most ${most}.${next}`, {
    ...(maxUploadBytes > 0 && { fields: uploadLimit({ maxUploadBytes }) }),
  })
}

/** Throws an EssError for a sender that can't use an early response. It says what to do instead. */
export function checkEarlyResponse(request: IncomingMessage, base: string, options: SenderOptions): void {
  const { headers } = request
  // A sender that reads text may go by its exit status alone, and a hidden cut leaves that at 0.
  const couldMiss = options.proxyHidesCuts && requestedForm(request) === 'text'
  if (!options.earlyResponse || couldMiss) {
    throw new EssError(
      'reservation-required',
      `This server cannot answer before your upload has ended, so reserve a link first:\n\n${howToReserve(base)}`,
    )
  }
  if (showsNoAnswer(request)) {
    const instead = options.reservations
      ? `Reserve a link first:\n\n${howToReserve(base)}`
      : `Send with curl instead:\n\n    curl -NT FILE ${base}/\n\nOr use ess send.`
    throw new EssError(
      'reservation-required',
      `wget2 shows the link only when the upload has ended, which is too late. ${instead}`,
    )
  }
  if (request.httpVersion === '1.0') {
    const instead = options.reservations
      ? `Or reserve a link first:\n\n${howToReserve(base)}`
      : 'Send with curl or ess instead.'
    throw new EssError(
      'http-version-not-supported',
      `A sender needs HTTP/1.1, and this upload came by HTTP/1.0. ${instead}`,
    )
  }
  // Over HTTP/2 these proxies pass on the whole body.
  const isChunked = headers['transfer-encoding'] !== undefined && request.httpVersionMajor < 2
  const mayBeCut = isProxied(request) && isChunked && headers.expect === undefined && !options.proxyFullDuplex
  if (mayBeCut) {
    throw new EssError(
      'length-required',
      'This upload came through a proxy without its size, and some proxies lose a part of such an upload. Send a file instead of a pipe, or use curl --http1.1 with -H "Expect: 100-continue". The operator finds more in docs/deploying.md.',
    )
  }
}

/** True for wget2. Its user would see no link, and it exits with 0 when the answer is cut. */
function showsNoAnswer({ headers }: IncomingMessage): boolean {
  return /^wget2\//i.test(headers['user-agent'] ?? '')
}

function howToReserve(base: string): string {
  return `    curl -X POST ${base}/reserve    # prints the link for the receiver, then the ADDRESS for your upload\n    curl -fT FILE ADDRESS\n\ness send does that by itself. The operator finds more in docs/deploying.md.`
}
