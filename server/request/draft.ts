import type { IncomingMessage } from 'node:http'
import { EssError, HEADERS } from '../../shared/index.js'
import { fieldOf, wholeNumberIn } from './fields.js'
import { declaredLength } from './payload.js'

/*
 * Clients of draft-ietf-httpbis-resumable-upload. To them, a 2xx for a request that completes an upload means that the
 * upload is complete, so they get one with the verdict and no sooner. They open an upload by `POST /reserve`.
 */

/**
 * The last interop version whose clients we have seen to take an offset at the end of the file for success, whatever
 * `Upload-Complete` says: tus-js-client 4 names 5 and 6, for the drafts 03 to 05.
 */
const LAST_TO_COUNT = 6

/** The last interop version that has no media type for a piece. */
const LAST_WITHOUT_TYPE = 5

/** A request that reserves an upload by the draft's rules (section 4.2). */
export interface Creation {
  /** The length of the file, if the client knows it. */
  readonly total: number | undefined
}

/**
 * What a client of the draft says of the upload that it opens; undefined for any other client. Throws EssError
 * `bad-request` if it sends bytes, or can't be told the truth.
 */
export function creationOf(request: IncomingMessage): Creation | undefined {
  const { headers } = request
  const complete = fieldOf(headers, HEADERS.uploadComplete)
  if (complete === undefined) return undefined
  if (complete !== '?0' || declaredLength(headers) !== 0) {
    throw new EssError(
      'bad-request',
      'A reservation takes no bytes, because the receiver needs the link first. Send this request with Upload-Complete: ?0 and without a body, then send the file to the Location of the answer by PATCH.',
    )
  }
  const total = wholeNumberIn(headers, HEADERS.uploadLength)
  if (total === 0 && goesByOffset(request)) {
    throw new EssError(
      'bad-request',
      'This client takes an empty file for sent as soon as it has reserved. Send it with ess or curl.',
    )
  }
  return { total }
}

/** Throws EssError `reservation-required` for a client of the draft, which takes the early 201 for the end. */
export function refuseDraft({ headers }: IncomingMessage): void {
  if (fieldOf(headers, HEADERS.uploadComplete) === undefined) return
  throw new EssError(
    'reservation-required',
    'To this client (it says Upload-Complete), an answer is the end of its upload, and the receiver needs the link before that. Send POST to /reserve with Upload-Complete: ?0 and no body, then send the file to the Location of the answer by PATCH.',
  )
}

/**
 * Throws EssError `bad-request` for a piece that comes as a whole file: by PUT or POST, as some clients send it that
 * can't PATCH.
 */
export function refuseAsWhole({ headers }: IncomingMessage): void {
  const isPiece =
    fieldOf(headers, HEADERS.uploadComplete) === '?0' ||
    (wholeNumberIn(headers, HEADERS.uploadOffset) ?? 0) > 0
  if (!isPiece) return
  throw new EssError(
    'bad-request',
    'This request brings a piece of a file (it has Upload-Complete or Upload-Offset). Send it by PATCH.',
  )
}

/**
 * True if the file ends with a piece that says it is not the last one. tus-js-client says so of the rest of a file after
 * a cut, and of a stream that has not told its end yet; then it takes any 2xx for success. Throws EssError `bad-request` for such a client where the
 * length of the file (`total`) is not known.
 */
export function endsUnsaid(
  request: IncomingMessage,
  { offset, length }: { readonly offset: number; readonly length: number | undefined },
  total: number | undefined,
): boolean {
  if (!goesByOffset(request)) return false
  if (total === undefined) {
    throw new EssError(
      'bad-request',
      'This client takes an offset for the end, so the server must know the length before a piece comes. Reserve the upload with Upload-Length, or send that with the piece.',
    )
  }
  return length !== undefined && offset + length === total
}

/** True for a client that takes an offset at the end of the file for success. */
export function goesByOffset({ headers }: IncomingMessage): boolean {
  return interopVersion(headers) <= LAST_TO_COUNT
}

/** True for a client whose draft has no media type for a piece. */
export function knowsNoType({ headers }: IncomingMessage): boolean {
  return interopVersion(headers) <= LAST_WITHOUT_TYPE
}

/** Infinity for a client that names none. */
function interopVersion(headers: IncomingMessage['headers']): number {
  const version = fieldOf(headers, HEADERS.uploadDraftInteropVersion)
  return version !== undefined && /^\d{1,3}$/.test(version) ? Number(version) : Number.POSITIVE_INFINITY
}
