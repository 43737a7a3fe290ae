/** Percent-decoding of UTF-8; undefined where it is malformed. */
export function percentDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    // URIError is all it throws, and it means exactly this.
    return undefined
  }
}
