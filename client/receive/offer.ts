import type { IncomingMessage } from 'node:http'
import { entityTag } from '../../shared/entity-tag.js'
import {
  announcesLength,
  DEFAULT_CONTENT_TYPE,
  EssError,
  formatBytes,
  LENGTH_TRAILER,
  PROBLEM_MEDIA_TYPE,
  parseContentDisposition,
  percentDecode,
  QUERY,
  resolveDownloadUrl,
  safeFileName,
} from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { type Exchange, exchange } from '../http/exchange.js'
import { notEss, readRefusal } from '../http/refusal.js'
import { localFileName, namelessFile } from './local-name.js'

/** Whatever the file's type is, it is welcome; the problem only has to be named. */
const ACCEPT = `*/*, ${PROBLEM_MEDIA_TYPE};q=0.9`

/** What is about to be received. */
export interface Offer {
  readonly id: string
  /** The name the sender gave, made safe; `ess-ID` where it gave none. */
  readonly name: string
  /** Bytes; undefined when the sender does not know either. */
  readonly size: number | undefined
  /** The Content-Type. */
  readonly type: string
}

export interface ReceiveOptions {
  /** Where an id is looked up; a whole URL says it itself. Default: `http://127.0.0.1:9000`. */
  readonly server?: string | URL | undefined
  /**
   * What the server wants of receivers where it was started with --receive-tokens; printable ASCII without spaces.
   * It is sent to `server` and to no other origin, also where a whole URL is given. Default: none.
   */
  readonly token?: string | undefined
  /** Seconds to wait for a sender that is not there yet. Default: 0, an unknown id fails at once. */
  readonly wait?: number | undefined
  /** Aborting it resets the connection and fails with `interrupted`. */
  readonly signal?: AbortSignal | undefined
}

/** For callers without types: a misspelt option is refused. */
export const RECEIVE_OPTIONS = {
  server: true,
  token: true,
  wait: true,
  signal: true,
} as const satisfies Record<keyof ReceiveOptions, true>

/** The URL to receive from. Throws EssError `usage` for what is neither an id nor a URL. */
export function downloadUrl(idOrUrl: string, options: ReceiveOptions): URL {
  const url = resolveDownloadUrl(idOrUrl, String(options.server ?? DEFAULT_SERVER))
  if (options.wait !== undefined) url.searchParams.set(QUERY.wait, String(options.wait))
  return url
}

/** Asks for a download, or with HEAD only for what it would be. */
export function requestDownload(
  method: 'GET' | 'HEAD',
  url: URL,
  options: ReceiveOptions,
  isDownload = false,
): Exchange {
  // Not named in `Connection`, as RFC 9110, 10.1.4 has it: Caddy 2.6 would take it away, and it is the one that
  // cannot be trusted without. Those who pass no trailers, such as nginx, drop it by its own name.
  const headers = { accept: ACCEPT, te: 'trailers', ...bearer(url, options) }
  return exchange(method, url, { headers, isDownload, signal: options.signal })
}

/** What the answer to such a request offers. Throws the refusal, EssError `not-ess`, or `incomplete`. */
export async function expectOffer(answer: Exchange, url: URL): Promise<Offer> {
  const { head, id } = await expectDownload(answer, url)
  const type = head.headers['content-type'] ?? DEFAULT_CONTENT_TYPE
  return { id, name: nameOf(head, url, id), size: sizeOf(head), type }
}

/** What an answer to HEAD says of a download. */
export interface Preview {
  readonly name: string
  /** Bytes; undefined when it says nothing of the size, which proves nothing yet. */
  readonly size: number | undefined
}

export async function expectPreview(answer: Exchange, url: URL): Promise<Preview> {
  const { head, id } = await expectDownload(answer, url)
  const length = head.headers['content-length']
  return { name: nameOf(head, url, id), size: length === undefined ? undefined : Number(length) }
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
 * After the end of a body of `bytes`: false where the answer promised to say its length then, and said nothing
 * or something else. Some proxies end a broken answer as if it were whole.
 */
export async function isProven(answer: Exchange, bytes: number): Promise<boolean> {
  const { headers, trailers } = await answer.head
  return !announcesLength(headers.trailer) || trailers[LENGTH_TRAILER.toLowerCase()] === String(bytes)
}

/** A download that was not whole: what was expected, and what came. */
export function incomplete(cause: EssError | undefined, bytes: number, size: number | undefined): EssError {
  if (cause?.code === 'interrupted') return cause
  const expected = size === undefined ? 'a whole file' : formatBytes(size)
  const found = bytes === size ? 'more than that' : `a cut after ${formatBytes(bytes)}`
  return new EssError('incomplete', `Expected ${expected}, got ${found}`, { cause })
}

/** The ETag of a download of ours always is the id, so whoever sends another is somebody else. */
function idIn(head: IncomingMessage, url: URL): string | undefined {
  return url.pathname.split('/').find((segment) => segment !== '' && head.headers.etag === entityTag(segment))
}

/** The name its sender gave it, or the one at the end of the URL, made safe; `ess-ID` where there is neither. */
function nameOf(head: IncomingMessage, url: URL, id: string): string {
  const last = url.pathname.split('/').at(-1) ?? ''
  const given = parseContentDisposition(head.headers['content-disposition'] ?? '')
  const named = last === id ? undefined : percentDecode(last)
  return localFileName(safeFileName(given ?? '') ?? safeFileName(named ?? '') ?? namelessFile(id))
}

/** The declared size. Without one only the chunked form tells a file's end from a cut. */
function sizeOf(head: IncomingMessage): number | undefined {
  const length = head.headers['content-length']
  if (length !== undefined) return Number(length)
  if (/^chunked$/i.test(head.headers['transfer-encoding'] ?? '')) return undefined
  throw new EssError(
    'incomplete',
    'Expected a Content-Length or the chunked form, got neither: an end proves nothing',
  )
}
