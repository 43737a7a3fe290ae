/** So many arguments a call of a function may have. */
const PIECE = 4096

/**
 * Text with one character for each byte (ISO 8859-1). A TextDecoder of that name would make windows-1252 of it, as the
 * web has it.
 */
export function toLatin1(bytes: Uint8Array): string {
  if (bytes.length <= PIECE) return String.fromCharCode(...bytes)
  let text = ''
  for (let at = 0; at < bytes.length; at += PIECE)
    text += String.fromCharCode(...bytes.subarray(at, at + PIECE))
  return text
}

/** The other way round. The text has no character beyond U+00FF. */
export function fromLatin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}
