import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import type { Cors } from '../answer/cors.js'
import { publicBaseUrl, requestedHost, type Trust } from './public-url.js'

/** What a request wants: to open or reserve a socket, or to have what is in one. */
export type Access = 'send' | 'receive'

/** The options that say which pages are this server's own, and which others may use it. */
interface SiteOptions {
  readonly baseUrl: string | undefined
  readonly trust: Trust
  readonly cors: Cors
  /** Undefined where a server asks for no credentials. */
  readonly authorize: unknown
}

/** Throws EssError `unauthorized`, in the same words whatever came. */
export function refuseUnauthorized(access: Access): never {
  throw new EssError(
    'unauthorized',
    `Expected a token that may ${access} here, as a Bearer token or as the password of Basic: ess takes it from ESS_TOKEN or --token-file, and with curl it is -u :TOKEN`,
  )
}

/**
 * Refuses what a page of another site makes its visitor's browser do (Fetch Metadata, and `Origin` where a browser
 * does not send that: over plain HTTP). Programs such as curl send neither. Throws EssError `cross-site` for
 *
 * - whatever sends, and every POST that receives, where `corsOrigins` is a list: forms need no preflight;
 * - a form that receives: a link is used up by its own page's button, or by a program;
 * - a picture, a script, a video, whichever way that page is made of it: a link that somebody has put there for all to
 *   look at would be used up by the first one;
 * - what goes by a password or a cookie that the browser has added by itself.
 *
 * For what is used up: to look at a link's page is anybody's right.
 */
export function refuseCrossSite(request: IncomingMessage, access: Access, options: SiteOptions): void {
  if (!isFromElsewhere(request, options)) return
  const { method, headers } = request
  const isWrite = access === 'send' || method === 'POST'
  const isForm = access === 'receive' && method === 'POST' && isNavigation(request)
  const isPart = isPartOfPage(request)
  const isRidden = options.authorize !== undefined && hasAmbientCredentials(request)
  if (!(isWrite && options.cors.isRestricted) && !isForm && !isPart && !isRidden) return
  const instead = access === 'receive' ? '; open the link itself' : ''
  throw new EssError(
    'cross-site',
    `Expected a page of this server, or of an origin that it lists, got one of ${JSON.stringify(headers.origin ?? 'another site')}${instead}`,
  )
}

/** True for a request that a page of another origin has made a browser send, unless that origin is listed. */
function isFromElsewhere(request: IncomingMessage, options: SiteOptions): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (site === undefined && origin === undefined) return false
  // "none" is a person: a bookmark, the address bar.
  if (site === 'same-origin' || site === 'none') return false
  if (options.cors.isListed(origin)) return false
  return site !== undefined || !isOwn(origin, request, options)
}

/** A browser's own words for its page's host are those of the Host; a proxy may have changed that one. */
function isOwn(origin: string | undefined, request: IncomingMessage, options: SiteOptions): boolean {
  // "null" is a page without an origin, or one that hides it; ours says `Referrer-Policy: same-origin`.
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

/** "empty" is a script, which may by CORS, and whatever a person saves without opening it. */
function isPartOfPage({ headers }: IncomingMessage): boolean {
  const { 'sec-fetch-mode': mode, 'sec-fetch-dest': destination } = headers
  return mode === 'no-cors' && destination !== undefined && destination !== 'empty'
}

/** What a browser adds without its page's doing; a Bearer token is set by whoever has it. */
function hasAmbientCredentials({ headers }: IncomingMessage): boolean {
  return headers.cookie !== undefined || /^basic\s/i.test(headers.authorization ?? '')
}

/** Throws EssError `bad-referer` unless the request comes from a page at or under `required`. */
export function checkReferer({ headers }: IncomingMessage, required: URL | undefined): void {
  if (required === undefined) return
  const { referer = '' } = headers
  const from = URL.canParse(referer) ? new URL(referer) : undefined
  const folder = required.pathname.replace(/\/*$/, '/')
  const isUnder = from?.origin === required.origin && `${from.pathname}/`.startsWith(folder)
  if (!isUnder)
    throw new EssError(
      'bad-referer',
      `Expected a Referer under ${required.href}, got ${JSON.stringify(referer)}`,
    )
}
