import type { IncomingMessage } from 'node:http'
import { DOWNLOAD_HEADERS, EssError, formatContentDisposition, safeFileName } from '../../shared/index.js'
import type { Cors } from '../answer/cors.js'
import { removeForeignFields } from '../answer/foreign-fields.js'
import { beginResponse, fixed, withFixedHeaders } from '../answer/head.js'
import { nodeAway } from '../answer/node-away.js'
import { trySendProblem } from '../answer/problem-response.js'
import { resetConnection } from '../node/linger.js'
import type { ResponsePort } from '../node/ports.js'
import { takesResetForEnd } from '../node/undici.js'
import { announceLength } from '../relay/length-trailer.js'
import type { Payload } from '../request/payload.js'
import { entityTag } from '../request/range.js'
import type { Outcome } from './lifecycle.js'

/** In the head of every download. */
const WHOLE_ONLY = fixed({ ...DOWNLOAD_HEADERS, 'Accept-Ranges': 'none' })
/** The same where a receiver may come back for the rest. */
const IN_RANGES = fixed({ ...DOWNLOAD_HEADERS, 'Accept-Ranges': 'bytes' })

/** A receiver's request and the response to it. */
interface ReceiverExchange {
  readonly request: IncomingMessage
  readonly response: ResponsePort
  /** The offset of its first byte. */
  readonly from: number
}

/** The file as its download's head names it. */
export interface NamedFile extends Payload {
  readonly id: string
  /** True if a receiver that loses its connection may come back for the rest. */
  readonly isResumable: boolean
}

/** Field by field, and without a spread: see `withFixedHeaders`. */
export function namedFile(
  { fileName, contentType, contentLength, sealed, bundle }: Payload,
  id: string,
  isResumable: boolean,
): NamedFile {
  return { id, isResumable, fileName, contentType, contentLength, sealed, bundle }
}

function fixedFor({ isResumable, contentLength }: NamedFile): typeof WHOLE_ONLY | typeof IN_RANGES {
  // Without a length, no Content-Range is valid before the end (RFC 9110, 14.4).
  return isResumable && contentLength !== undefined ? IN_RANGES : WHOLE_ONLY
}

/** The head of a download, the same for GET and HEAD. */
export function downloadHeaders(
  file: NamedFile,
  request: IncomingMessage,
  cors: Cors,
): Record<string, string | number> {
  const own = fieldsOf(file)
  if (file.contentLength !== undefined) own['Content-Length'] = file.contentLength
  else if (file.isResumable) own['Ess-Offset'] = 0
  return withFixedHeaders(own, fixedFor(file), cors.headers(request))
}

/** Writes the head of a download, unless it is out: the sender may have begun again since. */
export function beginDownload(
  { request, response, from }: ReceiverExchange,
  file: NamedFile,
  cors: Cors,
): void {
  if (response.headersSent) return
  const { contentLength, isResumable } = file
  const own = fieldsOf(file)
  const isPart = from > 0 && contentLength !== undefined
  // Says that a client may come back in these words: without a length there are no ranges.
  if (isResumable && contentLength === undefined) own['Ess-Offset'] = from
  if (isPart) own['Content-Range'] = `bytes ${from}-${contentLength - 1}/${contentLength}`
  removeForeignFields(response)
  announceLength(request, response, contentLength)
  // A download ends with its connection.
  const closes = contentLength === undefined && takesResetForEnd(request) ? 'unsaid' : true
  const framing = contentLength === undefined ? ('chunked' as const) : contentLength - from
  const body = { framing, closes } as const
  beginResponse(response, isPart ? 206 : 200, own, [fixedFor(file), cors.headers(request)], body)
}

/**
 * Tells a receiver that its download failed. Once the 200 is out, only a reset says that the receiver does not have the
 * whole file (protocol, chapter 4).
 */
export function failDownload(
  { request, response }: Omit<ReceiverExchange, 'from'>,
  error: EssError,
  cors: Cors,
): void {
  if (response.headersSent) resetConnection(request.socket)
  else if (!request.socket.destroyed) trySendProblem(request, response, cors, asSeenByReceiver(error))
}

/** The name that a sealed file has in the open. An embedder's ids may have characters that no name may. */
export function sealedName(id: string): string {
  return safeFileName(`${id}.age`) ?? 'sealed.age'
}

/** The refusal for a receiver that comes after the end. */
export function goneBecause(outcome: Outcome): EssError {
  const words: Partial<Record<Outcome, string>> = {
    delivered: 'This link worked once and has been used. Ask the sender for a new one.',
    expired: 'This link expired before anyone used it. Ask the sender for a new one.',
    cancelled: 'The sender stopped this transfer. Ask the sender for a new link.',
    'sender-lost': "The sender's connection was lost. Ask the sender for a new link.",
    'receiver-lost': "The download broke off and wasn't resumed in time. Ask the sender for a new link.",
  }
  return new EssError(
    'gone',
    words[outcome] ??
      `This transfer failed (${outcome}), and a link works once. Ask the sender for a new one.`,
  )
}

/** A sender's bad request is not the receiver's fault; and a receiver comes back to its link wherever that is. */
function asSeenByReceiver(error: EssError): EssError {
  if (error.code === 'moved') return nodeAway()
  const isSendersFault = ['too-large', 'bad-request', 'no-file-in-form'].includes(error.code)
  return isSendersFault
    ? new EssError('sender-lost', `The server refused this upload, and told the sender why: ${error.message}`)
    : error
}

function fieldsOf({ id, fileName, contentType, sealed, bundle }: NamedFile): Record<string, string | number> {
  const own: Record<string, string | number> = {
    'Content-Type': contentType,
    'Content-Disposition': formatContentDisposition(sealed === undefined ? fileName : sealedName(id)),
    ETag: entityTag(id),
  }
  if (sealed !== undefined) own['Ess-Sealed'] = sealed
  if (bundle !== undefined) own['Ess-Bundle'] = bundle
  return own
}
