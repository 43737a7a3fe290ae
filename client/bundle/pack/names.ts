import { isUtf8 } from 'node:buffer'

/**
 * The text of a name that was read as Latin-1, so that each character is a byte. Undefined if its bytes are not UTF-8.
 */
export function fromBytes(latin1: string): string | undefined {
  if (isAscii(latin1)) return latin1
  const bytes = Buffer.from(latin1, 'latin1')
  return isUtf8(bytes) ? bytes.toString() : undefined
}

/** The bytes of a name, each as a character. */
export function toBytes(text: string): string {
  return isAscii(text) ? text : Buffer.from(text).toString('latin1')
}

/** True if the text takes one byte a character in UTF-8. */
export function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text)
}

/** A longer path would hide the rest of a message. */
const MAX_SHOWN = 240

/** A path for a message of one line. What else can't be shown is replaced where the message is printed. */
export function shownName(path: string): string {
  const line = path.replaceAll('\n', '\\n')
  return line.length <= MAX_SHOWN ? line : `${line.slice(0, MAX_SHOWN / 2)}…${line.slice(-MAX_SHOWN / 2)}`
}

/** A path whose bytes are not UTF-8, for a message: those that are not ASCII as `\xe9`. */
export function shownBytes(latin1: string): string {
  return shownName(latin1.replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`))
}
