import { EssError } from '../../shared/index.js'
import { DEFAULT_SERVER } from './default-server.js'

/** What a request needs to know to give a token to nobody but its server. */
export interface TokenOptions {
  readonly server?: string | URL | undefined
  readonly token?: string | undefined
}

/**
 * The header that carries the token (RFC 6750, 2.1), for a request to `url`; none where there is no token, and none
 * to any other origin than the server's own: a link that was pasted from elsewhere must not get it.
 * Throws EssError `usage` for a token that cannot be one.
 */
export function bearer(
  url: URL,
  { server = DEFAULT_SERVER, token }: TokenOptions,
): { authorization?: string } {
  if (token === undefined) return {}
  checkToken(token, 'the token')
  const own = String(server)
  if (!URL.canParse(own) || new URL(own).origin !== url.origin) return {}
  // Both would go into the same header.
  if (url.username !== '' || url.password !== '')
    throw new EssError('usage', 'Expected a token, or a password in the URL, got both')
  return { authorization: `Bearer ${token}` }
}

/** It stands in a header as it is; what was pasted with a quote or a line end too many is seen here. */
export function checkToken(token: string, what: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token
  throw new EssError('usage', `Expected ${what} to be printable ASCII without spaces`)
}
