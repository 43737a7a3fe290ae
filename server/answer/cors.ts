import type { IncomingMessage } from 'node:http'
import { CORS_HEADERS, EssError, PREFLIGHT_HEADERS } from '../../shared/index.js'
import { fixed } from './head.js'

/** Which pages may use the data routes, as a browser is told. Nothing is refused by it: that is the browser's part. */
export interface Cors {
  /** True for a page of this origin; `*` lists nobody. */
  isListed(origin: string | undefined): boolean
  /** True unless every page may. */
  readonly isRestricted: boolean
  /** For every answer of a data route. */
  headers(request: IncomingMessage): Readonly<Record<string, string>>
  /** For the answer to a preflight. */
  preflight(request: IncomingMessage): Readonly<Record<string, string>>
}

/** What a cache on the way must know where the answer depends on who asks (Fetch, 3.2.5). */
const VARY = fixed({ Vary: 'Origin' })

const OPEN_TO_ALL = fixed(CORS_HEADERS)

/**
 * `['*']`, or a list of origins such as `https://app.example.org`. With `takesTokens` a page may send an
 * `Authorization`. Throws EssError `usage` for what is not an origin.
 */
export function compileCors(origins: readonly string[], takesTokens: boolean): Cors {
  const preflight = takesTokens
    ? {
        ...PREFLIGHT_HEADERS,
        'Access-Control-Allow-Headers': `${PREFLIGHT_HEADERS['Access-Control-Allow-Headers']}, Authorization`,
      }
    : PREFLIGHT_HEADERS
  if (origins.length === 1 && origins[0] === '*') {
    return {
      isRestricted: false,
      isListed: () => false,
      headers: () => OPEN_TO_ALL,
      preflight: () => preflight,
    }
  }
  const listed = new Set(origins.map(parseOrigin))
  const isListed = (origin: string | undefined) => origin !== undefined && listed.has(origin)
  const forOrigin = (all: Readonly<Record<string, string>>, { headers: { origin } }: IncomingMessage) =>
    origin !== undefined && isListed(origin)
      ? { ...all, 'Access-Control-Allow-Origin': origin, ...VARY }
      : VARY
  return {
    isRestricted: true,
    isListed,
    headers: (request) => forOrigin(CORS_HEADERS, request),
    preflight: (request) => forOrigin(preflight, request),
  }
}

/** An origin as a browser writes it (RFC 6454, 6.2): scheme, host, and a port that is not the scheme's own. */
function parseOrigin(text: unknown): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
  // "null" is what every page without an origin says, sandboxed ones of strangers among them.
  if (url !== undefined && url.origin !== 'null' && url.href === `${url.origin}/`) return url.origin
  const got = typeof text === 'string' ? JSON.stringify(text) : String(text)
  throw new EssError(
    'usage',
    `Expected "corsOrigins" (--cors-origin) to be origins such as https://app.example.org, or * alone, got ${got}`,
  )
}
