import { EssError, parseContentDisposition } from '../../shared/index.js'
import { brokenForm } from './form-scanner.js'

/** What the head of a part says of its file. */
export interface FilePart {
  /** Empty if a browser's file field was left empty, or the file has no name. */
  readonly fileName: string
  readonly contentType: string
}

/** A line of a part's head (RFC 5322, 2.2). File names come in any encoding, so any byte but NUL, CR and LF will do. */
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\0\r\n]*)$/

/** Fields that may come once: a second one would leave two readings of the part. */
const ONCE = ['content-disposition', 'content-type', 'content-transfer-encoding']

/** The codings of RFC 2045, 6.2, that leave the bytes as they are. */
const IDENTITY_CODINGS = ['7bit', '8bit', 'binary']

/**
 * Reads the head of a form's part (RFC 7578, 4). Undefined for a part that is no file. Throws EssError `bad-request` if
 * it is malformed, and `unsupported-media-type` for a file whose bytes are encoded.
 */
export function readFilePart(head: string): FilePart | undefined {
  const fields = fieldsOf(head)
  const disposition = fields.get('content-disposition')
  if (disposition === undefined || !/^form-data\s*(?:;|$)/i.test(disposition)) return undefined
  const contentType = fields.get('content-type')
  // Old browsers send a whole path; its backslashes quote nothing.
  const name = parseContentDisposition(disposition.replace(/\\(["\\])|\\/g, (pair) => pair.padEnd(2, '\\')))
  const isBinary = /^application\/octet-stream\s*(?:;|$)/i.test(contentType ?? '')
  if (name === undefined && !isBinary) return undefined
  const coding = fields.get('content-transfer-encoding')
  if (coding !== undefined && !IDENTITY_CODINGS.includes(coding.trim().toLowerCase())) {
    throw new EssError(
      'unsupported-media-type',
      `The file in the form is encoded (Content-Transfer-Encoding: ${coding}), and the receiver would get it so. Send it as it is, without that header.`,
    )
  }
  // The default type of a part (RFC 7578, 4.4).
  return { fileName: unescapeName(name ?? ''), contentType: contentType ?? 'text/plain' }
}

/** The fields by their lower-case names. */
function fieldsOf(head: string): Map<string, string> {
  const fields = new Map<string, string>()
  if (head === '') return fields
  // A line that begins with white space continues the one before (RFC 5322, 2.2.3).
  for (const line of head.replace(/\r\n(?=[ \t])/g, '').split('\r\n')) {
    const [, name = '', value = ''] = FIELD.exec(line) ?? []
    if (name === '') throw brokenForm(`${JSON.stringify(line.slice(0, 40))} in the head of a part`)
    const key = name.toLowerCase()
    if (fields.has(key) && ONCE.includes(key)) throw brokenForm(`two ${name} in the head of a part`)
    fields.set(key, value)
  }
  return fields
}

/** Browsers and curl percent-encode three characters of a name, and no others (WHATWG HTML, 4.10.22.7). */
function unescapeName(name: string): string {
  return name.replace(/%(?:22|0D|0A)/gi, (escaped) => decodeURIComponent(escaped))
}
