import type { IncomingMessage } from 'node:http'
import { entityTag } from '../../shared/entity-tag.js'
import {
  announcesLength,
  type BundleNote,
  DEFAULT_CONTENT_TYPE,
  EssError,
  formatBytes,
  formatPart,
  HEADERS,
  isTextType,
  LENGTH_TRAILER,
  MAX_TEXT_BYTES,
  PROBLEM_MEDIA_TYPE,
  parseBundleNote,
  parseContentDisposition,
  percentDecode,
  safeFileName,
} from '../../shared/index.js'
import { localFileName, namelessFile } from '../files/local-name.js'
import { bearer } from '../http/bearer.js'
import { type Exchange, exchange } from '../http/exchange.js'
import { notEss, readRefusal } from '../http/refusal.js'
import type { AskPassphrase } from './keyring.js'
import type { Seal } from './seal.js'

/** A file of any type is welcome. The problem type only has to be named. */
const ACCEPT = `*/*, ${PROBLEM_MEDIA_TYPE};q=0.9`

/** The file that is about to come. */
export interface Offer {
  readonly id: string
  /** The sender's name for the file, made safe; `ess-ID` if the sender gave none. */
  readonly name: string
  /** Bytes; undefined if the sender doesn't know either. */
  readonly size: number | undefined
  /** The Content-Type. */
  readonly type: string
  /** Set for a tar that the sender's `ess` made of a folder or of several files. */
  readonly bundle?: BundleNote | undefined
  /** True if it is encrypted from end to end. Then the name, the size and the type are those of what is inside. */
  readonly isSealed?: boolean
}

/** What the head of a download says in the open. Its size is that of the body, sealed or not. */
export interface HeadOffer extends Offer {
  /** True if the download can go on by another request after a cut. */
  readonly isResumable: boolean
  /** The value of `Ess-Sealed`. */
  readonly note: string | undefined
}

/** An offer with what only a download needs to know. */
export interface OpenOffer extends Offer {
  /** True if the download can go on by another request after a cut. */
  readonly isResumable: boolean
  /** Bytes of the body, sealed or not; undefined if the sender doesn't know. */
  readonly bodySize: number | undefined
  /** What opens the body. Undefined if it is not sealed, or if only the body itself can tell. */
  readonly seal: Seal | undefined
  /** What the name of its part has. Another run goes on only with the part of the same bytes under the same key. */
  readonly partId: string
}

export interface ReceiveOptions {
  /** The server that knows the id. A whole URL names its own server. Default: `http://127.0.0.1:9000`. */
  readonly server?: string | URL | undefined
  /**
   * The token for a server with --receive-tokens; printable ASCII without spaces. It goes to `server` and to no other
   * origin, even if you pass a whole URL. Default: none.
   */
  readonly token?: string | undefined
  /** Seconds to wait for a sender that is not there yet. Default: 0, so an unknown id fails at once. */
  readonly wait?: number | undefined
  /**
   * Your secret keys, `AGE-SECRET-KEY-1…` or `AGE-SECRET-KEY-PQ-1…`, for a download that is sealed for them. The key that a
   * link has behind its `#` counts too. With any of them, nothing is accepted that is not sealed. Default: none.
   */
  readonly identities?: readonly string[] | undefined
  /**
   * The password of a download that is sealed with one. With a string, nothing is accepted that is not sealed. A function
   * is called only for a download that wants a password, before anything is used up: with 1, and after a wrong password
   * with 2, and so on. With undefined, or with the same password again, the download fails. Default: none.
   */
  readonly passphrase?: string | AskPassphrase | undefined
  /** True accepts nothing that is not sealed, even if no key was given yet. Default: false. */
  readonly sealed?: boolean | undefined
  /** Aborting it resets the connection and fails with `interrupted`. */
  readonly signal?: AbortSignal | undefined
}

/** The known options. Callers without types may misspell one, which is refused. */
export const RECEIVE_OPTIONS = {
  server: true,
  token: true,
  wait: true,
  identities: true,
  passphrase: true,
  sealed: true,
  signal: true,
} as const satisfies Record<keyof ReceiveOptions, true>

/** Asks for a download; with HEAD, only for its head. */
export function requestDownload(
  method: 'GET' | 'HEAD',
  url: URL,
  options: ReceiveOptions,
  isDownload = false,
  range: Readonly<Record<string, string>> = {},
): Exchange {
  // Unlike RFC 9110, 10.1.4, `Connection` doesn't name `TE`: Caddy 2.6 would then remove it, and Caddy is the proxy
  // that can't be trusted without it. Proxies that pass no trailers, such as nginx, drop `TE` by its own name.
  const headers = {
    accept: ACCEPT,
    te: 'trailers',
    // We come back after a cut, so a node that stops need not wait until we have it all.
    [HEADERS.essResume]: '?1',
    ...range,
    ...bearer(url, options),
  }
  return exchange(method, url, { headers, isDownload, signal: options.signal })
}

/** Reads the offer from the response's head. Throws the server's refusal, or EssError `not-ess` or `incomplete`. */
export async function expectOffer(answer: Exchange, url: URL): Promise<HeadOffer> {
  const { head, id } = await expectDownload(answer, url)
  return offerIn(head, url, id, sizeOf(head))
}

function offerIn(head: IncomingMessage, url: URL, id: string, size: number | undefined): HeadOffer {
  const type = head.headers['content-type'] ?? DEFAULT_CONTENT_TYPE
  const bundle = parseBundleNote(String(head.headers[HEADERS.essBundle] ?? ''))
  const note = head.headers[HEADERS.essSealed]?.toString()
  const isResumable =
    size === undefined
      ? head.headers[HEADERS.essOffset] !== undefined
      : head.headers['accept-ranges'] === 'bytes'
  return { id, name: nameOf(head, url, id), size, type, bundle, isResumable, note }
}

/** The fields that ask for the rest of `offer`, from this offset on, and of no other file. */
export function rangeFrom(bytes: number, { id, bodySize }: OpenOffer): Readonly<Record<string, string>> {
  const field = bodySize === undefined ? { [HEADERS.essOffset]: String(bytes) } : { range: `bytes=${bytes}-` }
  return { ...field, 'if-match': entityTag(id) }
}

/**
 * Waits for the head of the rest of `offer`. Throws the server's refusal, or EssError `not-ess` if it is not the rest of
 * that very file, from that very byte on.
 */
export async function expectRest(
  answer: Exchange,
  url: URL,
  bytes: number,
  { id, bodySize: size }: OpenOffer,
): Promise<void> {
  const head = await answer.head
  const status = head.statusCode ?? 0
  if (status >= 400) throw await readRefusal(answer, head, url)
  const isRest =
    size === undefined
      ? status === 200 && head.headers[HEADERS.essOffset] === String(bytes)
      : (status === 206 && head.headers['content-range'] === `bytes ${bytes}-${size - 1}/${size}`) ||
        (status === 200 && bytes === 0 && sizeOf(head) === size)
  if (!isRest || head.headers.etag !== entityTag(id)) throw notEss(head, url)
}

/**
 * The fields of a HEAD that looks ahead. They say that we know the link's tag, which is one part of the URL: so the server
 * also shows us a link whose receiver seems to be there, because we may be that receiver.
 */
export function tagOf(url: URL): Readonly<Record<string, string>> {
  const segments = url.pathname.split('/').filter((segment) => segment !== '')
  return { 'if-match': segments.map(entityTag).join(', ') }
}

/** The offer in the answer to a HEAD. Its size is undefined if the head gives none; the GET may still give one. */
export async function expectPreview(answer: Exchange, url: URL): Promise<HeadOffer> {
  const { head, id } = await expectDownload(answer, url)
  const length = head.headers['content-length']
  return offerIn(head, url, id, length === undefined ? undefined : Number(length))
}

async function expectDownload(answer: Exchange, url: URL): Promise<{ head: IncomingMessage; id: string }> {
  const head = await answer.head
  const status = head.statusCode ?? 0
  if (status >= 400) throw await readRefusal(answer, head, url)
  const isAttachment = /^attachment\b/i.test(head.headers['content-disposition'] ?? '')
  const id = idIn(head, url)
  if (status !== 200 || id === undefined || !isAttachment) throw notEss(head, url)
  return { head, id }
}

/**
 * Call this after the end of a body of `bytes`. False if the response promised to say its length at the end, and then
 * said nothing or another number. Some proxies end a broken response as if it were whole.
 */
export async function isProven(answer: Exchange, bytes: number): Promise<boolean> {
  const { headers, trailers } = await answer.head
  return !announcesLength(headers.trailer) || trailers[LENGTH_TRAILER.toLowerCase()] === String(bytes)
}

/**
 * The error for a download that is not whole. `isKept` is true if the bytes so far went to a stream, and false if they
 * are removed. `why` is a sentence on what ended it.
 */
export function incomplete(
  cause: EssError | undefined,
  bytes: number,
  size: number | undefined,
  isKept: boolean,
  why = '',
): EssError {
  if (cause?.code === 'interrupted') return cause
  const had = bytes > 0 ? 'What you have is not the whole file.' : ''
  const rest = isKept ? had : 'Nothing was kept.'
  const words = [howItEnded(bytes, size), why, rest, 'Ask the sender to send it again.']
  return new EssError('incomplete', words.filter(Boolean).join(' '), { cause })
}

export function howItEnded(bytes: number, size: number | undefined): string {
  if (bytes === size) return `More bytes came than the ${formatBytes(size)} that were announced.`
  return `The download broke off after ${formatPart(bytes, size)}.`
}

/**
 * The id in the URL that the ETag repeats. Our server always sends the id as ETag; with another one, it isn't our
 * server.
 */
function idIn(head: IncomingMessage, url: URL): string | undefined {
  return url.pathname.split('/').find((segment) => segment !== '' && head.headers.etag === entityTag(segment))
}

/** The file's name, made safe: the sender's, else the one at the end of the URL, else `ess-ID`. */
function nameOf(head: IncomingMessage, url: URL, id: string): string {
  const last = url.pathname.split('/').at(-1) ?? ''
  const given = parseContentDisposition(head.headers['content-disposition'] ?? '')
  const named = last === id ? undefined : percentDecode(last)
  return localFileName(safeFileName(given ?? '') ?? safeFileName(named ?? '') ?? namelessFile(id))
}

/** True for a text that is meant to be read at once: it has no name, and at most 1 MiB. */
export function isText<Some extends Offer>(offer: Some): offer is Some & { readonly size: number } {
  const { id, name, size = Number.POSITIVE_INFINITY, type, bundle } = offer
  return name === namelessFile(id) && size <= MAX_TEXT_BYTES && isTextType(type) && bundle === undefined
}

/** The declared size. Without one, only chunked coding distinguishes the end of a file from a cut. */
function sizeOf(head: IncomingMessage): number | undefined {
  const length = head.headers['content-length']
  if (length !== undefined) return Number(length)
  if (/^chunked$/i.test(head.headers['transfer-encoding'] ?? '')) return undefined
  throw new EssError(
    'incomplete',
    'The answer does not say how long the file is, so a cut would look like its end. A proxy on the way may have removed that; ask its operator.',
  )
}
