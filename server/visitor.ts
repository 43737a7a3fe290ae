import type { IncomingMessage } from 'node:http'
import { isbot } from 'isbot'
import { EssError } from '../shared/index.js'

/**
 * True for whoever follows a link to look at it, and is shown a page rather than given the bytes, which can be
 * had only once: a person's browser that opens the link, and robots that draw previews of links.
 */
export function wantsPage({ method, headers }: IncomingMessage): boolean {
  if (method !== 'GET') return false
  if (isRobot(headers['user-agent'] ?? '')) return true
  return /\btext\/html\b/i.test(headers.accept ?? '')
}

/** Programs that people fetch files with are on some robot lists, but are nobody's preview. */
const FETCHERS =
  /^(?:ess|curl|wget2?|aria2|httpie|python-requests|python-urllib|node|axios|got|go-http-client|lwp|libwww-perl)\b/i

function isRobot(userAgent: string): boolean {
  return userAgent !== '' && !FETCHERS.test(userAgent) && isbot(userAgent)
}

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
