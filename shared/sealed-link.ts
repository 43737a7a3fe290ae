import { isBech32 } from './bech32.js'
import { expectNoKey, withHash } from './misplaced-key.js'
import { percentDecode } from './percent-decode.js'
import { EssError } from './problems.js'

/*
 * A link with its key: `https://host/ID#AGE-SECRET-KEY-1…`. A fragment is not part of any request (RFC 9110, 4.2.5), so
 * the server never sees it.
 */

/** Secret keys of age: 32 bytes in Bech32. */
const KEY = /^AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{58}$/

/** A link in a sentence, in brackets or in quotes often takes some of that along. */
const AROUND_KEY = /^[^a-z0-9]+|[^a-z0-9]+$/gi

/** What is left of a key that was cut at either end, or changed. */
const PIECE_OF_KEY = /^AGE|SECRET-?KEY/

/** Adds the secret key to a link. A fragment that it has gives way. */
export function sealedLink(link: string, identity: string): string {
  return `${link.split('#', 1)[0]}#${identity}`
}

/**
 * Takes a link apart. A `#` that became `%23` on its way counts. `identity` is undefined if the fragment is no key of age. Throws EssError `usage` for one that was
 * a key, before a chat cut it or a person mistyped it, and for a key that is not behind the `#`, which would go to the server;
 * the message doesn't show it.
 */
export function splitSealedLink(pasted: string): {
  readonly link: string
  readonly identity: string | undefined
} {
  const link = withHash(pasted)
  const at = link.indexOf('#')
  expectNoKey(at === -1 ? link : link.slice(0, at))
  if (at === -1) return { link, identity: undefined }
  const fragment = link.slice(at + 1)
  // Bech32 is the same in lower case, which some programs make of a link.
  const key = (percentDecode(fragment) ?? fragment).replace(AROUND_KEY, '').toUpperCase()
  const isKey = KEY.test(key) && isBech32(key)
  if (!isKey && PIECE_OF_KEY.test(key))
    throw new EssError(
      'usage',
      'The key behind the # of this link is not whole, or has a typo. Copy the whole link again, and put it in quotes.',
    )
  return { link: link.slice(0, at), identity: isKey ? key : undefined }
}
