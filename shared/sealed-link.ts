import { isBech32 } from './bech32.js'
import { percentDecode } from './percent-decode.js'
import { EssError } from './problems.js'

/*
 * A link with its key: `https://host/ID#AGE-SECRET-KEY-1…`. A fragment is not part of any request (RFC 9110, 4.2.5), so
 * the server never sees it.
 */

/** Secret keys of age: 32 bytes in Bech32. */
const KEY = /^AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{58}$/

/** What is left of a key that was cut at either end, or changed. */
const PIECE_OF_KEY = /^AGE|SECRET-?KEY/

/** The beginning of a key. A file may have SECRET-KEY in its name, but not this. */
const BEGIN_OF_KEY = /AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]/i

/** What chats, mail programs and redirectors make of the `#` before a key. */
const CHANGED_HASH = /(?:%(?:25)*23|\uff03|%ef%bc%83)(?=age-secret-key-)/gi

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
  const key = (percentDecode(fragment) ?? fragment).trim().toUpperCase()
  const isKey = KEY.test(key) && isBech32(key)
  if (!isKey && PIECE_OF_KEY.test(key))
    throw new EssError(
      'usage',
      'The key behind the # of this link is not whole, or has a typo. Copy the whole link again, and put it in quotes.',
    )
  return { link: link.slice(0, at), identity: isKey ? key : undefined }
}

/** The same text, with a `#` before its key where there was one that became something else on its way. */
export function withHash(link: string): string {
  return link.replace(CHANGED_HASH, '#')
}

/** Throws EssError `usage` if there is a secret key in what goes to a server. The message doesn't show it. */
export function expectNoKey(sent: string): void {
  let text = sent
  // A link within another one is encoded twice.
  for (let times = 0; times < 3; times++) {
    if (BEGIN_OF_KEY.test(text)) throw misplacedKey()
    text = text.replace(/%([0-7][0-9a-f])/gi, (_all, code: string) => String.fromCharCode(parseInt(code, 16)))
  }
  if (BEGIN_OF_KEY.test(text)) throw misplacedKey()
}

function misplacedKey(): EssError {
  return new EssError(
    'usage',
    'There is a secret key in this link, but not behind a #, and so it would go to the server. Nothing was sent. Copy the link again from the sender, or put a # before AGE-SECRET-KEY.',
  )
}
