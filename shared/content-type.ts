/** What a file's type is when its sender named none (RFC 9110, 8.3). */
export const DEFAULT_CONTENT_TYPE = 'application/octet-stream'

/** RFC 9110, 5.6.2. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const MEDIA_TYPE = new RegExp(
  `^(${TOKEN})/(${TOKEN})((?:\\s*;\\s*${TOKEN}=(?:${TOKEN}|"[^"\\\\]*"))*)\\s*;?$`,
)
const ACTIVE_SUBTYPE =
  /^(?:html|xml|xsl|xslt|javascript(?:1\.\d)?|ecmascript|x-javascript|x-ecmascript|jscript|livescript|.*\+xml|xml-.*|x-mixed-replace|related|rfc822)$/

/**
 * The Content-Type a receiver is given for the one the sender gave. What a browser could run (html, xhtml,
 * svg, xml, javascript) becomes text/plain; what is absent or malformed, application/octet-stream.
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
