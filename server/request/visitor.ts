import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import { navigates } from '../answer/navigates.js'
import { UNFURLERS } from './unfurlers.js'

/**
 * The status of the link's page, for a visitor that only looks; undefined for a program, which gets the bytes.
 *
 * Some programs send all that a browser sends ("Copy as cURL"), and must not take the page for the file. So the page
 * comes with 406: a browser shows it all the same, and `curl -f` and every program that checks the status fails.
 * Previews are known by name, and get 200 because they draw nothing else.
 */
export function pageStatus({ method, headers }: IncomingMessage): 200 | 406 | undefined {
  if (method !== 'GET' || goesOn(headers)) return undefined
  const agent = headers['user-agent'] ?? ''
  if (UNFURLERS.test(agent)) return 200
  return navigates(headers) || ROBOTS.test(agent) ? 406 : undefined
}

/**
 * True for the rest of a download that was cut. A browser asks for it by a navigation with GET, even if a button's POST
 * began the download. Only a download's head has the tag, so a visitor that only looks never sends it.
 */
function goesOn({ range, 'if-range': ifRange, 'if-match': ifMatch }: IncomingMessage['headers']): boolean {
  return range !== undefined && (ifRange ?? ifMatch) !== undefined
}

/** Matches a robot that follows links, by the end of its name: `Googlebot/2.1`, `Baiduspider;`. */
const ROBOTS = /(?:bot|crawler|spider|slurp|preview)(?=[/;),-]|\s?\(|$)/i

/** Browsers say in one of these what a request is for. */
const PURPOSE_HEADERS = ['sec-purpose', 'purpose', 'x-moz', 'x-purpose'] as const

/**
 * Throws EssError `prefetch` for requests that no person has made: for a fetch ahead of time (Fetch, `Sec-Purpose`;
 * formerly `Purpose` and `X-Moz`), and for a service worker's script, with which a stranger's bytes could answer for
 * this whole origin.
 */
export function refuseUnasked({ headers }: IncomingMessage): void {
  const isAheadOfTime = PURPOSE_HEADERS.some((name) => {
    const purpose = headers[name]
    return purpose !== undefined && /\b(?:prefetch|prerender|preview)\b/i.test(String(purpose))
  })
  if (isAheadOfTime) {
    throw new EssError(
      'prefetch',
      'Your browser tried to load this link ahead of time. The link is not used up: open it when you want the file.',
    )
  }
  if (headers['service-worker'] !== undefined || headers['sec-fetch-dest'] === 'serviceworker') {
    throw new EssError(
      'prefetch',
      'A page tried to make this link its service worker. The link is not used up: open it yourself if you want the file.',
    )
  }
}
