/** Decodes percent-encoded UTF-8; undefined if it is malformed. */
export function percentDecode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    // It throws only URIError, which means exactly this.
    return undefined
  }
}
