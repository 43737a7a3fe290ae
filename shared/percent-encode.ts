/**
 * Percent-encodes everything but RFC 3986's unreserved characters. encodeURIComponent leaves !'()* too, which end a
 * word in a shell, and which RFC 8187 doesn't allow in a file name.
 */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
