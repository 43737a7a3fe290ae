/** The longest value of the header `Ess-Sealed`. Some proxies pass no response whose head has more than 4 KiB. */
export const MAX_SEALED_NOTE = 3 * 1024

/** True for a value of the header `Ess-Sealed`: base64url without padding (RFC 4648, 5), at most 3 KiB. */
export function isSealedNote(value: string): boolean {
  // Four characters are three bytes; what is left is one byte or two.
  return value.length <= MAX_SEALED_NOTE && value.length % 4 !== 1 && /^[\w-]+$/.test(value)
}

/**
 * What makes the key of a note from its file key (HKDF's info). It is another than that of a body, or a server could pass
 * the note off as the body: both are sealed with the same file key.
 */
export const SEALED_NOTE_KEY_INFO = 'ess-sealed-note'
