import type { IncomingMessage } from 'node:http'
import { entityTag } from '../../shared/entity-tag.js'
import { EssError, HEADERS } from '../../shared/index.js'

export { entityTag }

/** What a receiver may be given of a socket's file. */
export interface Obtainable {
  readonly id: string
  /** The length of the file in bytes; undefined if it is not known. */
  readonly contentLength: number | undefined
  /** The highest offset from which a receiver may want the rest: up to there, bytes were handed to one. */
  readonly highestReturn: number
  /** The lowest offset that its sender can go back to; undefined if it can't go back at all. */
  readonly lowestReturn: number | undefined
}

/** From where a receiver wants the file. */
export interface Start {
  readonly from: number
  /** True if the request says that it goes on with this very file: it had this link's tag. */
  readonly knowsTag: boolean
  /** True if the request names an offset. */
  readonly isGoingOn: boolean
}

/**
 * True for a request for a part of a file. Where a link gives its bytes once, from the first one on, the rest of a broken
 * download would be of no use to a client, and would use the link up.
 *
 * - `bytes=0-` asks for the whole file. Over HTTP/1.0, which has no ranges, it comes from a download manager (axel)
 *   that only probes: it hangs up once it has read the head.
 * - With another file's tag in `If-Range`, the client asks for the whole file, and can handle it (RFC 9110, 13.1.5).
 */
export function asksForPart({ headers, httpVersion }: IncomingMessage, id: string): boolean {
  const { range, 'if-range': tag } = headers
  if (range === undefined || (tag !== undefined && tag !== entityTag(id)))
    return headers[HEADERS.essOffset] !== undefined
  return (
    httpVersion === '1.0' ||
    !/^\s*bytes\s*=\s*0-\s*$/i.test(range) ||
    headers[HEADERS.essOffset] !== undefined
  )
}

/** True for a request that says that it goes on with the file of this link. */
export function knowsTag({ headers }: IncomingMessage, id: string): boolean {
  const tag = entityTag(id)
  return headers['if-match']?.includes(tag) === true || headers['if-range'] === tag
}

/**
 * From where this receiver wants the file. Throws EssError `precondition-failed` for another file's tag in `If-Match`;
 * `range-not-satisfiable` for a receiver that has everything; `whole-only` for a part that this link can't give.
 *
 * It is a 416 only for an offset that is the end: curl and wget take that for "you have it all", and exit with 0. Below
 * the end their file is short, and beyond it they have another file.
 */
export function startOf(request: IncomingMessage, file: Obtainable): Start {
  const { headers } = request
  const tag = entityTag(file.id)
  const match = headers['if-match']
  if (match !== undefined && match.trim() !== '*' && !match.includes(tag)) {
    throw new EssError(
      'precondition-failed',
      'The part that you have is of another file. Download this one into a new file, without If-Match.',
    )
  }
  const isSameFile = knowsTag(request, file.id)
  if (!asksForPart(request, file.id))
    return { from: 0, knowsTag: isSameFile, isGoingOn: headers.range !== undefined }
  const from = offsetIn(request, file)
  const { highestReturn, contentLength, lowestReturn } = file
  if (from === undefined || lowestReturn === undefined) refusePart(request)
  if (contentLength !== undefined && from === contentLength && highestReturn === contentLength) {
    throw new EssError(
      'range-not-satisfiable',
      `The file ends at byte ${contentLength}, so there is nothing after the bytes that you asked for. Compare your file's size with it.`,
      {
        fields: { 'Content-Range': `bytes */${contentLength}` },
      },
    )
  }
  // What was never handed on is not the beginning of this file.
  if (from < lowestReturn || from > highestReturn) refusePart(request)
  return { from, knowsTag: isSameFile, isGoingOn: true }
}

/** The offset from which a request wants the rest; undefined if it doesn't want all of the rest. */
function offsetIn(
  { headers, httpVersion }: IncomingMessage,
  { contentLength }: Obtainable,
): number | undefined {
  const own = headers[HEADERS.essOffset]
  // For a file of unknown length: no Content-Range is valid before its end (RFC 9110, 14.4).
  if (own !== undefined) return /^\d{1,15}$/.test(String(own)) ? Number(own) : undefined
  const [, first, last = ''] = /^\s*bytes\s*=\s*(\d{1,15})-(\d{0,15})\s*$/i.exec(headers.range ?? '') ?? []
  if (first === undefined || contentLength === undefined || httpVersion === '1.0') return undefined
  return last === '' || Number(last) >= contentLength - 1 ? Number(first) : undefined
}

/** Throws EssError `whole-only`. */
function refusePart({ headers }: IncomingMessage): never {
  const own = headers[HEADERS.essOffset]
  const asked = own === undefined ? headers.range : `Ess-Offset: ${own}`
  throw new EssError(
    'whole-only',
    `You asked for a part of the file (${JSON.stringify(asked?.slice(0, 100))}), and a link gives the whole file, once. The link is not used up: ask again without a range (curl without -C, wget without -c), into a new file.`,
  )
}
