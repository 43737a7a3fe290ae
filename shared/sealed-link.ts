/*
 * A link with its key: `https://host/ID#AGE-SECRET-KEY-1…`. A fragment is not part of any request (RFC 9110, 4.2.5), so
 * the server never sees it.
 */

/** Secret keys of age: 32 bytes in Bech32. */
const KEY = /^AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{58}$/

/** Adds the secret key to a link. A fragment that it has gives way. */
export function sealedLink(link: string, identity: string): string {
  return `${link.split('#', 1)[0]}#${identity}`
}

/** Takes a link apart. `identity` is undefined if the fragment is no key of age. */
export function splitSealedLink(link: string): {
  readonly link: string
  readonly identity: string | undefined
} {
  const at = link.indexOf('#')
  if (at === -1) return { link, identity: undefined }
  // Bech32 is the same in lower case, which some programs make of a link.
  const key = link.slice(at + 1).toUpperCase()
  return { link: link.slice(0, at), identity: KEY.test(key) ? key : undefined }
}
