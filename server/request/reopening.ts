import type { IncomingMessage } from 'node:http'
import { EssError, formatCount, HEADERS } from '../../shared/index.js'
import { fieldOf, wholeNumberIn } from './fields.js'
import { declaredLength, type Payload, readPayload } from './payload.js'
import { reachOf } from './resume.js'

/** What a sender says of its transfer when it opens its link again: what another node knew of it. */
export interface Reopening {
  readonly payload: Payload
  /** How many bytes it can go back. A sender that comes back can go on, whether or not it says so. */
  readonly reach: number
  /** The offset up to which bytes were handed on, as far as the sender was told. */
  readonly offset: number
  /** True if a receiver had come. */
  readonly hadReceiver: boolean
}

/** In the place of an id, when a link is opened first: this sender could open it again at another node. */
const CAN_REOPEN = '?1'

/** True for a sender that knows how to go on at another node. */
export function canReopen({ headers }: IncomingMessage): boolean {
  return fieldOf(headers, HEADERS.essReopen) === CAN_REOPEN
}

/** The id that a sender wants to open again; undefined for any other request. */
export function reopenedId({ headers }: IncomingMessage): string | undefined {
  const id = fieldOf(headers, HEADERS.essReopen)
  return id === CAN_REOPEN ? undefined : id
}

/**
 * Reads the head of a request that opens a link again. Throws EssError `bad-request`, or `gone` where a receiver had come
 * and the sender can't go back for it.
 */
export function reopeningOf(request: IncomingMessage, query: URLSearchParams): Reopening {
  const { headers } = request
  if (declaredLength(headers) !== 0)
    throw new EssError(
      'bad-request',
      'A request that opens a link again takes no bytes. Send it without a body, then send the file to the upload resource of the answer by PATCH.',
    )
  const total = wholeNumberIn(headers, HEADERS.uploadLength)
  const offset = wholeNumberIn(headers, HEADERS.uploadOffset) ?? 0
  const hadReceiver = fieldOf(headers, HEADERS.essConnected) === '?1'
  const reach = reachOf(request) ?? 0
  if (offset > 0 && !hadReceiver)
    throw new EssError(
      'bad-request',
      `Upload-Offset says that ${formatCount(offset, 'byte')} were handed on, so a receiver had come. Send Ess-Connected: ?1 too.`,
    )
  if (total !== undefined && offset > total)
    throw new EssError(
      'bad-request',
      `Upload-Offset is ${offset}, but Upload-Length says that the file has ${formatCount(total, 'byte')}.`,
    )
  if (hadReceiver && reach === 0)
    throw new EssError(
      'gone',
      "The receiver's connection was lost together with its server, and this sender can't go back for it (Ess-Resume). Send the file again for a new link.",
    )
  const payload = { ...readPayload(request, query, undefined), contentLength: total }
  return { payload, reach, offset, hadReceiver }
}
