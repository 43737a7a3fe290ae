/** The longest value of the header `Ess-Sealed`. Some proxies pass no response whose head has more than 4 KiB. */
export const MAX_SEALED_NOTE = 3 * 1024

/** True for a value of the header `Ess-Sealed`: base64url without padding (RFC 4648, 5), at most 3 KiB. */
export function isSealedNote(value: string): boolean {
  return value.length <= MAX_SEALED_NOTE && /^[\w-]+$/.test(value)
}
