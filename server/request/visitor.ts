import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import { navigates } from '../answer/navigates.js'
import { UNFURLERS } from './unfurlers.js'

/**
 * The status of the page for a visitor that follows a link to look at it; undefined for a program, which gets the bytes.
 *
 * A page must never pass for the file, because some programs say all that a browser says ("Copy as cURL"). So a browser
 * shows a person a 406, and `curl -f` and all others that look at a status fail with it. A preview draws only what comes
 * with 200, and is known by name.
 */
export function pageStatus({ method, headers }: IncomingMessage): 200 | 406 | undefined {
  if (method !== 'GET') return undefined
  const agent = headers['user-agent'] ?? ''
  if (UNFURLERS.test(agent)) return 200
  return navigates(headers) || ROBOTS.test(agent) ? 406 : undefined
}

/** A robot that follows links says so at the end of its name: `Googlebot/2.1`, `Baiduspider;`. */
const ROBOTS = /(?:bot|crawler|spider|slurp|preview)(?=[/;),-]|\s?\(|$)/i

/** In any of these a browser says what a request is for. */
const PURPOSE_HEADERS = ['sec-purpose', 'purpose', 'x-moz', 'x-purpose'] as const

/**
 * Refuses what no person has asked for. Throws EssError `prefetch` for a fetch ahead of time (Fetch,
 * `Sec-Purpose`; `Purpose` and `X-Moz` are its elders), and for a service worker's script, which would let a
 * stranger's bytes answer for our whole origin.
 */
export function refuseUnasked({ headers }: IncomingMessage): void {
  const isAheadOfTime = PURPOSE_HEADERS.some((name) => {
    const purpose = headers[name]
    return purpose !== undefined && /\b(?:prefetch|prerender|preview)\b/i.test(String(purpose))
  })
  if (isAheadOfTime) {
    throw new EssError('prefetch', 'Expected a download that somebody asked for, got a prefetch')
  }
  if (headers['service-worker'] !== undefined || headers['sec-fetch-dest'] === 'serviceworker') {
    throw new EssError(
      'prefetch',
      'Expected a download that somebody asked for, got a registration of a service worker',
    )
  }
}
