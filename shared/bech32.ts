const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const CHECKSUM_LENGTH = 6
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]

/**
 * True for text whose checksum is right (BIP 173, Bech32): no character of it was lost or mistyped. In capitals or in
 * small letters, not in both. Keys of age are longer than the 90 characters that BIP 173 allows.
 */
export function isBech32(text: string): boolean {
  const lower = text.toLowerCase()
  const separator = lower.lastIndexOf('1')
  if (lower !== text && text.toUpperCase() !== text) return false
  if (separator < 1 || lower.length - separator - 1 < CHECKSUM_LENGTH) return false
  const prefix = [...lower.slice(0, separator)].map((character) => character.charCodeAt(0))
  const data = [...lower.slice(separator + 1)].map((character) => ALPHABET.indexOf(character))
  if (prefix.some((code) => code < 33 || code > 126) || data.includes(-1)) return false
  const values = [...prefix.map((code) => code >> 5), 0, ...prefix.map((code) => code & 31), ...data]
  return values.reduce(step, 1) === 1
}

/** One step of the polynomial of BIP 173. */
function step(checksum: number, value: number): number {
  const top = checksum >> 25
  return GENERATOR.reduce(
    (sum, term, bit) => (((top >> bit) & 1) === 1 ? sum ^ term : sum),
    ((checksum & 0x1ffffff) << 5) ^ value,
  )
}
