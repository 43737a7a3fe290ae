import { replaceHidden } from './hidden.js'

/** The header names of the protocol that HTTP libraries do not spell for us, in lower case. */
export const HEADERS = {
  contentDisposition: 'content-disposition',
  contentLength: 'content-length',
  prefer: 'prefer',
  te: 'te',
} as const

/**
 * The trailer field (RFC 9110, 6.5) after a download of unknown length: the number of its bytes, which only a
 * whole one has. Announced in `Trailer`, and only to a receiver that says `TE: trailers`.
 */
export const LENGTH_TRAILER = 'Ess-Length'

/** True for a `TE` that asks for trailer fields (RFC 9110, 10.1.4). */
export function acceptsTrailers(te: string | undefined): boolean {
  return listed(te).includes('trailers')
}

/** True for a `Trailer` that promises the length. */
export function announcesLength(trailer: string | undefined): boolean {
  return listed(trailer).includes(LENGTH_TRAILER.toLowerCase())
}

/** The members of a list (RFC 9110, 5.6.1), without regard to case. */
function listed(value = ''): string[] {
  return value.split(',').map((member) => member.trim().toLowerCase())
}

/** What a file's type is when its sender named none (RFC 9110, 8.3). */
export const DEFAULT_CONTENT_TYPE = 'application/octet-stream'

/** What holds for every answer of a data route: nothing is stored on the way, sniffed, or buffered by a proxy. */
export const PASS_THROUGH_HEADERS = {
  'Cache-Control': 'no-store, no-transform',
  // nginx would spool the response, and the sender would read "delivered" far too early.
  'X-Accel-Buffering': 'no',
  'X-Content-Type-Options': 'nosniff',
} as const

/** A download is a stranger's bytes on our origin: it is saved, never run, and never indexed. */
export const DOWNLOAD_HEADERS = {
  ...PASS_THROUGH_HEADERS,
  'Content-Security-Policy': "sandbox; default-src 'none'",
  // A page of another origin may have it by CORS, and make nothing of it without.
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Robots-Tag': 'none',
} as const

/** Any page may send and receive: whoever has the link has the file, and there are no cookies to ride on. */
export const CORS_HEADERS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'Location, ETag, Content-Disposition, Content-Length, Retry-After',
} as const

/** The answer to a preflight, Private Network Access included. */
export const PREFLIGHT_HEADERS = {
  ...CORS_HEADERS,
  'Access-Control-Allow-Methods': 'GET, HEAD, POST, PUT, DELETE, OPTIONS',
  'Access-Control-Allow-Headers': 'Accept, Content-Type, Content-Disposition, Prefer, Range, If-Range',
  'Access-Control-Allow-Private-Network': 'true',
  'Access-Control-Max-Age': '86400',
} as const

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

/** The longest file name we hand on, in bytes of UTF-8: most file systems take 255, and `.part` must fit too. */
const MAX_FILE_NAME_BYTES = 240
/** An ending longer than this is not an extension worth saving. */
const MAX_EXTENSION_LENGTH = 16

/**
 * A name that is safe to write to a disk, a header and a terminal: the last component of a path, without
 * control characters and others that deceive, without a leading dot or dash, at most 240 bytes with its extension
 * kept.
 * Undefined when nothing is left of it.
 */
export function safeFileName(name: string): string | undefined {
  const component = name.toWellFormed().split(/[/\\]/).pop() ?? ''
  const clean = withoutHidden(component)
    .replace(/^[\s.-]+/u, '')
    .trimEnd()
  return clean === '' ? undefined : shorten(clean)
}

function shorten(name: string): string {
  if (utf8Length(name) <= MAX_FILE_NAME_BYTES) return name
  const dot = name.lastIndexOf('.')
  const extension = dot > 0 && name.length - dot <= MAX_EXTENSION_LENGTH ? name.slice(dot) : ''
  let stem = ''
  for (const character of name.slice(0, name.length - extension.length)) {
    if (utf8Length(stem + character + extension) > MAX_FILE_NAME_BYTES) break
    stem += character
  }
  // The cut may have left a space at the end, and half of what was joined.
  return withoutHidden(stem + extension).trimEnd()
}

function withoutHidden(text: string): string {
  return replaceHidden(text, () => '')
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length
}

/**
 * The Content-Disposition of a download (RFC 6266, with RFC 8187's `filename*`): always an attachment,
 * with an ASCII fallback for old clients.
 */
export function formatContentDisposition(fileName: string | undefined): string {
  if (fileName === undefined) return 'attachment'
  const fallback = fileName.replace(/[^\x20-\x7e]/gu, '_').replace(/["\\]/g, '\\$&')
  // In the fallback a "%41" would be decoded by some browsers, so such a name is always written both ways.
  const isPlain = /^[\x20-\x7e]*$/.test(fileName) && !/["\\%]/.test(fileName)
  return `attachment; filename="${fallback}"${isPlain ? '' : `; filename*=UTF-8''${encodeExtValue(fileName)}`}`
}

/** RFC 8187, 3.2.1: everything but attr-char is percent-encoded. */
function encodeExtValue(text: string): string {
  return encodeURIComponent(text).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/**
 * The file name in a Content-Disposition, either way round: `filename*` wins over `filename` (RFC 6266, 4.3).
 * `header` is as HTTP libraries give it, a byte a character; raw UTF-8 in it is read as such.
 * Undefined when there is none. The name is not safe yet: see `safeFileName`.
 */
export function parseContentDisposition(header: string): string | undefined {
  const parameters = new Map<string, string>()
  // Parameter by parameter, because a quoted name may look like a parameter itself. The first of a name counts.
  for (const [, name = '', quoted, token] of header.matchAll(PARAMETER)) {
    const key = name.toLowerCase()
    if (!parameters.has(key)) parameters.set(key, quoted?.replace(/\\(.)/g, '$1') ?? token ?? '')
  }
  const extended = /^utf-8'[^']*'(.*)$/i.exec(parameters.get('filename*') ?? '')?.[1]
  const decoded = extended === undefined ? undefined : percentDecode(extended)
  if (decoded !== undefined) return decoded
  const plain = parameters.get('filename')
  return plain === undefined ? undefined : decodeUtf8Bytes(plain)
}

/** `; name="quoted"` or `; name=token` (RFC 6266, 4.1). */
const PARAMETER = /;\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]*))/g

/** Percent-decoding of UTF-8; undefined where it is malformed. */
export function percentDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    // URIError is all it throws, and it means exactly this.
    return undefined
  }
}

/** Header values come a byte a character; where those bytes are UTF-8, that is what the sender meant. */
function decodeUtf8Bytes(text: string): string {
  if (!/[\x80-\xff]/.test(text) || /[^\0-\xff]/.test(text)) return text
  try {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0))
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // Not UTF-8, so ISO-8859-1, as it was once the rule.
    return text
  }
}
