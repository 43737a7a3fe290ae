import type { IncomingMessage } from 'node:http'
import { CORS_HEADERS, EssError, PREFLIGHT_HEADERS } from '../../shared/index.js'
import { fixed } from './head.js'

/**
 * Tells browsers which pages may use the data routes. Enforcing it is up to the browser: the server refuses nothing
 * here.
 */
export interface Cors {
  /** True if pages of this origin are listed by name; `*` names none. */
  isListed(origin: string | undefined): boolean
  /** True unless every page may use the service. */
  readonly isRestricted: boolean
  /** Fields for every answer of a data route. */
  headers(request: IncomingMessage): Readonly<Record<string, string>>
  /** Fields for the answer to a preflight. */
  preflight(request: IncomingMessage): Readonly<Record<string, string>>
}

/** Tells caches that the answer depends on the page that asks (Fetch, 3.2.5). */
const VARY = fixed({ Vary: 'Origin' })

const OPEN_TO_ALL = fixed(CORS_HEADERS)

/**
 * Reads the option `corsOrigins`: `['*']`, or origins such as `https://app.example.org`. With `takesTokens`, pages may
 * send an `Authorization`. Throws EssError `usage` for anything that is no origin.
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

/** An origin as browsers write it (RFC 6454, 6.2): scheme, host, and the port unless it's the scheme's default. */
function parseOrigin(text: unknown): string {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined
  // Every page without an origin says "null", strangers' sandboxed pages included.
  if (url !== undefined && url.origin !== 'null' && url.href === `${url.origin}/`) return url.origin
  const got = typeof text === 'string' ? JSON.stringify(text) : String(text)
  throw new EssError(
    'usage',
    `"corsOrigins" must be origins such as https://app.example.org, or * alone, not ${got}.`,
  )
}
