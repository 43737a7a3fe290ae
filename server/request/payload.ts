import type { IncomingMessage } from 'node:http'
import {
  HEADERS,
  parseContentDisposition,
  QUERY,
  type StatusForm,
  safeContentType,
  safeFileName,
} from '../../shared/index.js'
import { type Notes, notesOf } from './notes.js'

/** What a sender says of its file. */
export interface Payload extends Notes {
  /** Undefined for a sealed file too: see `veiled`. */
  readonly fileName: string | undefined
  /** Safe to serve from our origin. */
  readonly contentType: string
  /** Bytes; undefined for a chunked body. */
  readonly contentLength: number | undefined
}

/** What the head of a raw upload says of its file. */
export function readPayload(
  { headers }: IncomingMessage,
  query: URLSearchParams,
  pathName: string | undefined,
): Payload {
  const { sealed, bundle } = notesOf(headers)
  return veiled({
    fileName: fileNameOf(headers, query, pathName),
    contentType: safeContentType(headers['content-type']),
    contentLength: declaredLength(headers),
    sealed,
    bundle,
  })
}

/**
 * The same without a sealed file's name and type, wherever its sender has said them in the open: nothing remembers
 * them, and so nothing can show them.
 */
export function veiled(payload: Payload): Payload {
  if (payload.sealed === undefined) return payload
  return { ...payload, fileName: undefined, contentType: 'application/octet-stream' }
}

/** Bytes; undefined for a chunked body. A request with neither field has no body (RFC 9112, 6.3): 0 bytes. */
export function declaredLength(headers: IncomingMessage['headers']): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers[HEADERS.contentLength] ?? 0)
}

/** The file's name: from the path, else from the Content-Disposition, else from the query. */
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

/** The form in which a sender wants its status: NDJSON for programs, server-sent events for browsers, else text. */
export function requestedForm({ headers }: IncomingMessage): StatusForm {
  const accept = headers.accept ?? ''
  if (/application\/(?:x-)?ndjson/i.test(accept)) return 'ndjson'
  return /text\/event-stream/i.test(accept) ? 'sse' : 'text'
}
