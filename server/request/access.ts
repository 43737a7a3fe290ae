import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import { tokenWords } from '../../shared/token-words.js'
import type { Cors } from '../answer/cors.js'
import { Attachment } from '../node/attachment.js'
import { publicBaseUrl, requestedHost, type Trust } from './public-url.js'

/** What a request wants: to open or reserve a socket, or to have what is in one. */
export type Access = 'send' | 'receive'

/** What each `authorize` of ours asks a token for. */
const tokensAsked = new Attachment<object, readonly Access[]>('tokens asked')

/** Says what `authorize` asks a token for, so that `GET /` can show it. An embedder's own may ask for anything. */
export function setTokensAsked(authorize: object, accesses: readonly Access[]): void {
  tokensAsked.set(authorize, accesses)
}

export function tokensAskedBy(authorize: object): readonly Access[] {
  return tokensAsked.get(authorize) ?? []
}

/** The options that say which pages are this server's own, and which others may use it. */
interface SiteOptions {
  readonly baseUrl: string | undefined
  readonly trust: Trust
  readonly cors: Cors
  /** Undefined where a server asks for no credentials. */
  readonly authorize: unknown
}

/** Throws EssError `unauthorized`. The words are the same for a missing token and for a wrong one. */
export function refuseUnauthorized(access: Access): never {
  throw new EssError('unauthorized', tokenWords(access))
}

/**
 * Refuses requests that a page of another site makes its visitor's browser send. Browsers tell by Fetch Metadata, or by
 * `Origin` over plain HTTP; programs such as curl send neither. Throws EssError `cross-site` for
 *
 * - every request that sends, and every POST that receives, where `corsOrigins` is a list: forms need no preflight;
 * - a form that receives: only the link's own page has a button for that;
 * - a picture, a script or a video in a page: the first visitor of a page that embeds a link would use it up;
 * - a request whose password or cookie the browser has added by itself.
 *
 * Call it for requests that use something up. Any page may show a link's own page.
 */
export function refuseCrossSite(request: IncomingMessage, access: Access, options: SiteOptions): void {
  if (!isFromElsewhere(request, options)) return
  const { method, headers } = request
  const isWrite = access === 'send' || method === 'POST'
  const isForm = access === 'receive' && method === 'POST' && isNavigation(request)
  const isPart = isPartOfPage(request)
  const isRidden = options.authorize !== undefined && hasAmbientCredentials(request)
  if (!(isWrite && options.cors.isRestricted) && !isForm && !isPart && !isRidden) return
  const from = headers.origin === undefined ? 'another site' : JSON.stringify(headers.origin)
  const next =
    access === 'receive'
      ? 'Open the link itself, and press the button there.'
      : 'The operator of this server can allow that page with --cors-origin.'
  throw new EssError(
    'cross-site',
    `A page of ${from} made your browser ask for this, and this server does not let it. ${next}`,
  )
}

/**
 * Refuses a reservation where they are off, unless a page of the service's own origin asks for it: that page is the
 * service's, and can't read a link in an early response. Throws EssError `not-found`, as where there is no such address.
 */
export function refuseReservation(request: IncomingMessage, options: SiteOptions): void {
  const { method, headers } = request
  const site = headers['sec-fetch-site']
  // Over plain HTTP to another machine, browsers send `Origin` alone.
  const isOfPage = site === undefined ? isOwn(headers.origin, request, options) : site === 'same-origin'
  if (method === 'POST' && isOfPage) return
  throw new EssError(
    'not-found',
    'This server takes reservations from its own page only. Send without one, or ask its operator for --reservations.',
  )
}

/** True if a page of another origin made the browser send this, and `corsOrigins` doesn't list that origin. */
function isFromElsewhere(request: IncomingMessage, options: SiteOptions): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (site === undefined && origin === undefined) return false
  // "none" means a person: a bookmark, the address bar.
  if (site === 'same-origin' || site === 'none') return false
  if (options.cors.isListed(origin)) return false
  return site !== undefined || !isOwn(origin, request, options)
}

/**
 * A browser writes its page's host like the Host field. A proxy may have changed that one, so the public URL counts
 * too.
 */
function isOwn(origin: string | undefined, request: IncomingMessage, options: SiteOptions): boolean {
  // "null" is a page that has no origin, or hides it. Our own page doesn't: it says `Referrer-Policy: same-origin`.
  if (origin === undefined || !URL.canParse(origin)) return false
  const { host } = new URL(origin)
  const base = publicBaseUrl(request, options)
  const asked = requestedHost(request)
  const own = [base, `http://${asked}`, `https://${asked}`]
  return own.some((url) => URL.canParse(url) && new URL(url).host === host)
}

function isNavigation({ headers }: IncomingMessage): boolean {
  const mode = headers['sec-fetch-mode']
  return mode === undefined ? /\btext\/html\b/i.test(headers.accept ?? '') : mode === 'navigate'
}

/** The destination "empty" is no part: it means a script, which CORS allows, or a link that a person saves. */
function isPartOfPage({ headers }: IncomingMessage): boolean {
  const { 'sec-fetch-mode': mode, 'sec-fetch-dest': destination } = headers
  return mode === 'no-cors' && destination !== undefined && destination !== 'empty'
}

/** True for credentials that a browser adds by itself. A Bearer token is set by the page, which therefore has it. */
function hasAmbientCredentials({ headers }: IncomingMessage): boolean {
  return headers.cookie !== undefined || /^basic\s/i.test(headers.authorization ?? '')
}

/**
 * Throws EssError `bad-referer` unless the request comes from the page `required`, or one under it. Undefined allows
 * all.
 */
export function checkReferer({ headers }: IncomingMessage, required: URL | undefined): void {
  if (required === undefined) return
  const { referer = '' } = headers
  const from = URL.canParse(referer) ? new URL(referer) : undefined
  const folder = required.pathname.replace(/\/*$/, '/')
  const isUnder = from?.origin === required.origin && `${from.pathname}/`.startsWith(folder)
  if (!isUnder)
    throw new EssError(
      'bad-referer',
      `This server lets only ${required.href} reserve links, and your request ${referer === '' ? 'names no page' : `comes from ${JSON.stringify(referer)}`}. Reserve from that page.`,
    )
}
