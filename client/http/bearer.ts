import { EssError } from '../../shared/index.js'
import { DEFAULT_SERVER } from './default-server.js'

/** The options that decide which requests carry the token. */
export interface TokenOptions {
  readonly server?: string | URL | undefined
  readonly token?: string | undefined
}

/**
 * The header that carries the token (RFC 6750, 2.1), for a request to `url`. Empty without a token, and for any
 * origin but the server's own: a link pasted from elsewhere must not get the token. Throws EssError `usage` for text
 * that can't be a token, and for a token beside a password in the URL.
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
    throw new EssError('usage', 'There is a token, and a password in the address too. Leave one of them out.')
  return { authorization: `Bearer ${token}` }
}

/** The token goes into a header as it is. This catches a pasted quote or line end. */
export function checkToken(token: string, what: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token
  throw new EssError('usage', `Cannot use ${what}: a token is printable ASCII without spaces. Copy it again.`)
}
