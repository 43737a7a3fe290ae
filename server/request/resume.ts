import type { IncomingMessage } from 'node:http'
import { EssError, formatCount, HEADERS, PARTIAL_UPLOAD } from '../../shared/index.js'
import { knowsNoType } from './draft.js'
import { fieldOf, wholeNumberIn } from './fields.js'
import { declaredLength } from './payload.js'

/**
 * How many bytes a sender can go back from where its receiver stands, by another request: 0 if it can only go on,
 * Infinity if it can begin anywhere. Undefined for a sender that has one request and no other.
 */
export type Reach = number | undefined

/**
 * What a sender says that it can do when its connection or its receiver's is lost: `Ess-Resume: ?1`, `rewind`, or
 * `window=BYTES`. Anything else is ignored, as a field from a later version would be.
 */
export function reachOf({ headers }: IncomingMessage): Reach {
  const text = fieldOf(headers, HEADERS.essResume)
  if (text === '?1') return 0
  if (text === 'rewind') return Number.POSITIVE_INFINITY
  const [, bytes] = /^window=(\d{1,15})$/.exec(text ?? '') ?? []
  return bytes === undefined ? undefined : Number(bytes)
}

/** True for a receiver that says, in the words of a sender, that it comes back by itself after a cut. */
export function comesBack({ headers }: IncomingMessage): boolean {
  return fieldOf(headers, HEADERS.essResume) === '?1'
}

/** A piece of an upload, as its request's head describes it. */
export interface PieceHead {
  /** The offset of its first byte in the sender's sequence. */
  readonly offset: number
  /** True if the sequence ends with it. */
  readonly isLast: boolean
  /** Bytes of this piece; undefined if its body is chunked. */
  readonly length: number | undefined
  /** The length of the sequence, as far as this head tells it. */
  readonly total: number | undefined
}

/** Reads the head of a `PATCH` to an upload resource. Throws EssError `unsupported-media-type` or `bad-request`. */
export function pieceHeadOf(request: IncomingMessage): PieceHead {
  const { headers } = request
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== PARTIAL_UPLOAD && !(type === undefined && knowsNoType(request))) {
    throw new EssError(
      'unsupported-media-type',
      `A PATCH brings a piece of a file. Send it with Content-Type: ${PARTIAL_UPLOAD}.`,
      { fields: { 'Accept-Patch': PARTIAL_UPLOAD } },
    )
  }
  const offset = wholeNumberIn(headers, HEADERS.uploadOffset)
  if (offset === undefined) throw missing('Upload-Offset', 'the offset of the first byte of this piece')
  const complete = fieldOf(headers, HEADERS.uploadComplete)
  if (complete !== '?0' && complete !== '?1')
    throw missing('Upload-Complete', '?1 if this is the last piece, else ?0')
  const isLast = complete === '?1'
  const length = declaredLength(headers)
  const announced = wholeNumberIn(headers, HEADERS.uploadLength)
  const end = length === undefined ? undefined : offset + length
  const isContradiction =
    announced !== undefined && end !== undefined && (isLast ? end !== announced : end > announced)
  if (isContradiction) {
    throw new EssError(
      'bad-request',
      `This piece ends at byte ${end}, but Upload-Length says that the file has ${formatCount(announced, 'byte')}.`,
    )
  }
  return { offset, isLast, length, total: announced ?? (isLast ? end : undefined) }
}

function missing(field: string, meaning: string): EssError {
  return new EssError('bad-request', `This request needs the field ${field}: ${meaning}.`)
}
