/** A text that is sent in place of a file: it has this type and no name. */
export const TEXT_TYPE = 'text/plain; charset=utf-8'

/** The longest such text, in bytes: `ess get` prints it whole. */
export const MAX_TEXT_BYTES = 1024 * 1024

/** True for a Content-Type that says plain text in UTF-8. */
export function isTextType(type: string): boolean {
  return /^text\/plain\s*;\s*charset="?utf-8"?$/i.test(type)
}
