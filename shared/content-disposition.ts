import { percentDecode } from './percent-decode.js'
import { percentEncode } from './percent-encode.js'

/**
 * Writes the Content-Disposition of a download (RFC 6266, with RFC 8187's `filename*`): always an attachment, with an
 * ASCII fallback for old clients.
 */
export function formatContentDisposition(fileName: string | undefined): string {
  if (fileName === undefined) return 'attachment'
  const fallback = fileName.replace(/[^\x20-\x7e]/gu, '_').replace(/["\\]/g, '\\$&')
  // Some browsers would decode a "%41" in the fallback, so such a name is always written both ways.
  const isPlain = /^[\x20-\x7e]*$/.test(fileName) && !/["\\%]/.test(fileName)
  return `attachment; filename="${fallback}"${isPlain ? '' : `; filename*=UTF-8''${percentEncode(fileName)}`}`
}

/**
 * Reads the file name from a Content-Disposition; `filename*` wins over `filename` (RFC 6266, 4.3). Pass `header` as
 * HTTP libraries give it, one character per byte; raw UTF-8 in it is decoded. Undefined if there is no name. The name
 * is not safe yet: see `safeFileName`.
 */
export function parseContentDisposition(header: string): string | undefined {
  const parameters = new Map<string, string>()
  // Match whole parameters, because a quoted name may look like a parameter itself. The first one of a name counts.
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

/** Header values have one character per byte. If those bytes are UTF-8, the sender meant UTF-8. */
function decodeUtf8Bytes(text: string): string {
  if (!/[\x80-\xff]/.test(text) || /[^\0-\xff]/.test(text)) return text
  try {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0))
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // It isn't UTF-8, so it is ISO-8859-1, as the rule once was.
    return text
  }
}
