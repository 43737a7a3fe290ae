import type { IncomingMessage } from 'node:http'
import { DOWNLOAD_HEADERS, EssError, formatContentDisposition } from '../../shared/index.js'
import type { Cors } from '../answer/cors.js'
import { removeForeignFields } from '../answer/foreign-fields.js'
import { beginResponse, fixed, withFixedHeaders } from '../answer/head.js'
import { trySendProblem } from '../answer/problem-response.js'
import { resetConnection } from '../node/linger.js'
import type { ResponsePort } from '../node/ports.js'
import { announceLength } from '../relay/length-trailer.js'
import type { Payload } from '../request/payload.js'
import { entityTag } from '../request/range.js'
import { takesResetForEnd } from '../request/undici.js'
import type { Outcome } from './lifecycle.js'

/** In the head of every download. */
const FIXED_HEADERS = fixed({ ...DOWNLOAD_HEADERS, 'Accept-Ranges': 'none' })

/** A receiver's request and the response to it. */
interface ReceiverExchange {
  readonly request: IncomingMessage
  readonly response: ResponsePort
}

/** The file as its download's head names it. */
export interface NamedFile extends Payload {
  readonly id: string
}

/** The head of a download, the same for GET and HEAD. */
export function downloadHeaders(
  file: NamedFile,
  request: IncomingMessage,
  cors: Cors,
): Record<string, string | number> {
  const own = fieldsOf(file)
  if (file.contentLength !== undefined) own['Content-Length'] = file.contentLength
  return withFixedHeaders(own, FIXED_HEADERS, cors.headers(request))
}

/** Writes the head of a download, unless it is out: the sender may have begun again since. */
export function beginDownload({ request, response }: ReceiverExchange, file: NamedFile, cors: Cors): void {
  if (response.headersSent) return
  const { contentLength } = file
  removeForeignFields(response)
  announceLength(request, response, contentLength)
  // A download ends with its connection.
  const closes = contentLength === undefined && takesResetForEnd(request) ? 'unsaid' : true
  const body = { framing: contentLength ?? ('chunked' as const), closes } as const
  beginResponse(response, 200, fieldsOf(file), [FIXED_HEADERS, cors.headers(request)], body)
}

/**
 * Tells a receiver that its download failed. Once the 200 is out, only a reset says that the receiver does not have the
 * whole file (protocol, chapter 4).
 */
export function failDownload({ request, response }: ReceiverExchange, error: EssError, cors: Cors): void {
  if (response.headersSent) resetConnection(request.socket)
  else if (!request.socket.destroyed) trySendProblem(request, response, cors, asSeenByReceiver(error))
}

/** The refusal for a receiver that comes after the end. */
export function goneBecause(outcome: Outcome): EssError {
  const words: Partial<Record<Outcome, string>> = {
    delivered: 'This link worked once and has been used. Ask the sender for a new one.',
    expired: 'This link expired before anyone used it. Ask the sender for a new one.',
    cancelled: 'The sender cancelled this transfer. Ask the sender for a new link.',
  }
  return new EssError(
    'gone',
    words[outcome] ??
      `This transfer failed (${outcome}), and a link works once. Ask the sender for a new one.`,
  )
}

/** A sender's bad request is not the receiver's fault. */
function asSeenByReceiver(error: EssError): EssError {
  const isSendersFault = ['too-large', 'bad-request', 'no-file-in-form'].includes(error.code)
  return isSendersFault
    ? new EssError('sender-lost', `The server refused this upload, and told the sender why: ${error.message}`)
    : error
}

function fieldsOf({ id, fileName, contentType }: NamedFile): Record<string, string | number> {
  return {
    'Content-Type': contentType,
    'Content-Disposition': formatContentDisposition(fileName),
    ETag: entityTag(id),
  }
}
