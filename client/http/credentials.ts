import { EssError } from '../../shared/index.js'

/**
 * The Basic credentials (RFC 7617) in a URL; undefined if it has none. Throws EssError `usage` for a `%` that encodes
 * nothing; the message doesn't show the credentials.
 */
export function basicCredentials(url: URL): string | undefined {
  const { username, password } = url
  if (username === '' && password === '') return undefined
  if (hasLonePercent(url))
    throw new EssError(
      'usage',
      'The user name or password in the address has a % that encodes nothing. Write it as %25.',
    )
  const bytes = Buffer.concat([percentBytes(username), Buffer.from(':'), percentBytes(password)])
  return `Basic ${bytes.toString('base64')}`
}

/**
 * Moves a URL's password into its header. An HTTP library would fail on a lone `%`, and would keep the password in its errors.
 */
export function splitCredentials(url: URL): { bare: URL; authorization: { authorization?: string } } {
  const credentials = basicCredentials(url)
  if (credentials === undefined) return { bare: url, authorization: {} }
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  return { bare, authorization: { authorization: credentials } }
}

/**
 * True if the user name or password has a `%` that encodes nothing. curl takes it literally. But then a `%40` beside
 * it is probably meant literally too, and the proxy would only call the password wrong.
 */
export function hasLonePercent({ username, password }: URL): boolean {
  return /%(?![0-9a-f]{2})/i.test(`${username}:${password}`)
}

/** Decodes to bytes rather than text, because not every password is UTF-8. */
function percentBytes(text: string): Buffer {
  const pieces = text.split(/(%[0-9a-f]{2})/i)
  return Buffer.concat(
    pieces.map((piece, index) => (index % 2 === 0 ? Buffer.from(piece) : Buffer.from(piece.slice(1), 'hex'))),
  )
}
