import { entityTag } from '../../shared/entity-tag.js'
import {
  closedDownloadPath,
  DEFAULT_CONTENT_TYPE,
  downloadPath,
  EssError,
  HEADERS,
  PROBLEM_MEDIA_TYPE,
  parseContentDisposition,
} from '../../shared/index.js'
import { COMMON } from '../../shared/page-words.js'
import { addressOf, type Facts } from '../facts.js'
import { ALWAYS, problemIn, refusalIn, SOON_MS, STATUSES_AWAY } from '../http/ask.js'
import { Patience } from '../http/patience.js'

/**
 * Where a file is received from. A server that asks receivers for a token has asked for it before it gave out this page, and
 * the browser adds it to the requests of the page.
 */
export interface Link {
  readonly id: string
  readonly url: URL
  /** Where the page says that it is closed. */
  readonly closed: URL
  /** True if the server waits for long enough that a receiver may leave its connection, and come back for the rest. */
  readonly mayPause: boolean
}

/** The page may take so long for what it has, before it asks for more. */
const LONGEST_PAUSE_SECONDS = 30
/** How long the page tries to say that it has everything. */
const CONFIRM_MS = 60_000

/** What the head of a download says in the open. */
export interface Head {
  /** Bytes of the body, sealed or not; undefined if the sender doesn't know. */
  readonly size: number | undefined
  /** The sender's name for it, as it came. */
  readonly name: string | undefined
  readonly type: string
  /** The value of `Ess-Sealed`. */
  readonly note: string | undefined
  /** The value of `Ess-Bundle`. */
  readonly bundle: string | undefined
  /** True if the download can go on by another request after a cut. */
  readonly isResumable: boolean
}

/** Nothing of the page's may look like a browser that opens a link: those get a page. */
const ACCEPT = `*/*, ${PROBLEM_MEDIA_TYPE};q=0.9`

/** The answer to a HEAD has no body that could name the problem. */
const STATUS_CODES = {
  401: 'unauthorized',
  404: 'not-found',
  409: 'busy',
  410: 'gone',
  429: 'too-many-requests',
  502: 'node-away',
  503: 'node-away',
  504: 'node-away',
} as const

export function linkTo(facts: Facts, id: string): Link {
  return {
    id,
    url: addressOf(facts, downloadPath(id)),
    closed: addressOf(facts, closedDownloadPath(id)),
    mayPause: facts.resumeWithin >= LONGEST_PAUSE_SECONDS,
  }
}

/**
 * Asks for the file; with HEAD, only for its head. Resolves with an answer that has the file. Throws the server's refusal,
 * EssError `server-unreachable` if none comes, or what `signal` was aborted with.
 */
export async function request(
  method: 'GET' | 'HEAD',
  { url }: Link,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const answer = await asked(url, {
    ...ALWAYS,
    method,
    headers: { accept: ACCEPT, ...headers },
    signal,
  })
  const { status } = answer
  if (answer.ok) return answer
  if (method === 'HEAD' && status in STATUS_CODES) {
    // It was just looked for.
    throw new EssError(STATUS_CODES[status as keyof typeof STATUS_CODES])
  }
  // A refusal is short, and what is not ours is of no interest.
  const text = await answer.text().catch(() => '')
  const whole = { status, headers: answer.headers, text }
  throw problemIn(whole) ?? refusalIn(whole)

  async function asked(to: URL, init: RequestInit): Promise<Response> {
    try {
      return await fetch(to, init)
    } catch (error) {
      signal.throwIfAborted()
      throw new EssError('server-unreachable', undefined, { cause: error })
    }
  }
}

/** Tells the server that this receiver stops for good. It never rejects. */
export async function giveUp({ url }: Link): Promise<void> {
  try {
    await fetch(url, { ...ALWAYS, method: 'DELETE', keepalive: true })
  } catch {
    // Its sender then waits as for any receiver that lost its connection.
  }
}

/**
 * Tells the server that all bytes of the body have come, and are safe. The sender is told so no earlier: the browser's
 * network takes bytes that the page has not seen yet. If its node has died meanwhile, it is told when the sender is at
 * another one. It never rejects.
 */
export async function confirm(link: Link, bytes: number, head: Head): Promise<void> {
  const patience = new Patience(CONFIRM_MS)
  const { signal } = new AbortController()
  let isEndShown = false
  while (!patience.isOver) {
    const status = await sayReceived(link, bytes)
    if (status === BAD_REQUEST && head.size === undefined && !isEndShown) {
      // A node to which the sender has moved can't know the size before it has seen that there is no rest.
      isEndShown = await isEnd(link, bytes, head)
      if (isEndShown) continue
    } else if (status !== undefined && !STATUSES_AWAY.includes(status)) return
    await patience.pause(signal)
  }
}

const BAD_REQUEST = 400

/** The status of the answer; undefined if none has come. */
async function sayReceived({ url }: Link, bytes: number): Promise<number | undefined> {
  const headers = { [HEADERS.essReceived]: String(bytes) }
  try {
    const { status } = await fetch(url, { ...ALWAYS, method: 'DELETE', headers, keepalive: true })
    return status
  } catch {
    return undefined
  }
}

/** True if the server hands on that nothing follows these bytes. */
async function isEnd(link: Link, bytes: number, head: Head): Promise<boolean> {
  try {
    const rest = await request('GET', link, AbortSignal.timeout(SOON_MS), rangeFrom(bytes, head, link))
    expectRest(rest, bytes, head, link)
    return (await rest.arrayBuffer()).byteLength === 0
  } catch {
    // The next try may get it.
    return false
  }
}

/** Reads the head of a download. Throws EssError `not-ess` if it is none of this link. */
export function headOf(answer: Response, { id }: Link): Head {
  const { headers } = answer
  if (answer.status !== 200 || headers.get('etag') !== entityTag(id)) throw notEss(answer)
  const length = headers.get('content-length')
  const size = length === null ? undefined : Number(length)
  const isResumable =
    size === undefined ? headers.has(HEADERS.essOffset) : headers.get('accept-ranges') === 'bytes'
  return {
    size,
    name: parseContentDisposition(headers.get(HEADERS.contentDisposition) ?? ''),
    type: headers.get('content-type') ?? DEFAULT_CONTENT_TYPE,
    note: headers.get(HEADERS.essSealed) ?? undefined,
    bundle: headers.get(HEADERS.essBundle) ?? undefined,
    isResumable,
  }
}

/** Asks for the file: its receiver says by itself when it is safe, and comes back by itself after a cut. */
export const WHOLE: Readonly<Record<string, string>> = {
  [HEADERS.essConfirm]: '?1',
  [HEADERS.essResume]: '?1',
}

/** The fields that ask for the rest of a file, from this offset on, and of no other file. */
export function rangeFrom(bytes: number, { size }: Head, { id }: Link): Readonly<Record<string, string>> {
  const field = size === undefined ? { [HEADERS.essOffset]: String(bytes) } : { range: `bytes=${bytes}-` }
  return { ...WHOLE, ...field, 'if-match': entityTag(id) }
}

/** Throws EssError `not-ess` if an answer is not the rest of that very file, from that very byte on. */
export function expectRest(answer: Response, bytes: number, { size }: Head, { id }: Link): void {
  const { status, headers } = answer
  const isRest =
    size === undefined
      ? status === 200 && headers.get(HEADERS.essOffset) === String(bytes)
      : (status === 206 && headers.get('content-range') === `bytes ${bytes}-${size - 1}/${size}`) ||
        (status === 200 && bytes === 0 && headers.get('content-length') === String(size))
  if (!isRest || headers.get('etag') !== entityTag(id)) throw notEss(answer)
}

function notEss({ status }: Response): EssError {
  return new EssError('not-ess', COMMON.notEss(status))
}
