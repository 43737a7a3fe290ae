/** The type of a file whose sender named none (RFC 9110, 8.3). */
export const DEFAULT_CONTENT_TYPE = 'application/octet-stream'

/** A token (RFC 9110, 5.6.2). */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const MEDIA_TYPE = new RegExp(
  `^(${TOKEN})/(${TOKEN})((?:\\s*;\\s*${TOKEN}=(?:${TOKEN}|"[^"\\\\]*"))*)\\s*;?$`,
)
const ACTIVE_SUBTYPE =
  /^(?:html|xml|xsl|xslt|javascript(?:1\.\d)?|ecmascript|x-javascript|x-ecmascript|jscript|livescript|.*\+xml|xml-.*|x-mixed-replace|related|rfc822)$/

/**
 * The Content-Type for the receiver, from the sender's. Types that a browser could run (html, xhtml, svg, xml,
 * javascript) become text/plain; a missing or malformed type becomes application/octet-stream.
 */
export function safeContentType(sent: string | undefined): string {
  const match = MEDIA_TYPE.exec(sent?.trim() ?? '')
  if (match === null) return DEFAULT_CONTENT_TYPE
  const [whole, type = '', subtype = '', parameters = ''] = match
  if (!ACTIVE_SUBTYPE.test(subtype.toLowerCase())) return whole
  if (type.toLowerCase() === 'multipart' || type.toLowerCase() === 'message') return DEFAULT_CONTENT_TYPE
  const charset = /;\s*charset=("?)([\w.:-]+)\1/i.exec(parameters)?.[2]
  return charset === undefined ? 'text/plain' : `text/plain; charset=${charset}`
}
