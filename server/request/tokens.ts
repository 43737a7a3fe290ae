import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type Access, setTokensAsked } from './access.js'

/** `ServiceOptions.authorize`. */
export type Authorize = (access: Access, request: IncomingMessage) => boolean

/** The SHA-256 of each token that may do this; undefined where no token is asked for. */
export type DigestsOf = (access: Access) => readonly Buffer[] | undefined

/** Lets those in who bring a token. The tokens may change, but not whether any are asked for. */
export function authorizeBy(digestsOf: DigestsOf): Authorize {
  const authorize: Authorize = (access, { headers }) => {
    const digests = digestsOf(access)
    if (digests === undefined) return true
    const token = tokenIn(headers.authorization)
    return token !== undefined && isAmong(digests, token)
  }
  setTokensAsked(
    authorize,
    (['send', 'receive'] as const).filter((access) => digestsOf(access) !== undefined),
  )
  return authorize
}

/** The token in an `Authorization`: Bearer's (RFC 6750, 2.1), or the password of any user in Basic (RFC 7617, 2). */
export function tokenIn(authorization: string | undefined): string | undefined {
  const [, scheme = '', credentials = ''] = /^(bearer|basic) +(\S+) *$/i.exec(authorization ?? '') ?? []
  if (scheme.toLowerCase() !== 'basic') return credentials || undefined
  const [, password] = /^[^:]*:(.+)$/s.exec(Buffer.from(credentials, 'base64').toString()) ?? []
  return password
}

/** Takes the same time for every token, known or not: it compares all digests, and they have the same length. */
function isAmong(digests: readonly Buffer[], token: string): boolean {
  const given = digestOf(token)
  let isKnown = false
  for (const digest of digests) isKnown = timingSafeEqual(digest, given) || isKnown
  return isKnown
}

/** What is kept of a token. A fast hash is enough, because a token is drawn at random. */
export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
