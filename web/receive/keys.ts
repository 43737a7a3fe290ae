import { isBech32 } from '../../shared/bech32.js'
import { EssError, percentDecode, splitSealedLink } from '../../shared/index.js'
import { RECEIVING } from '../../shared/page-words-receiving.js'

/**
 * 32 bytes in Bech32; in small letters too, which some programs make of a link. A field of one line puts the lines of a key
 * file together, so a key may begin and end beside other letters.
 */
const KEY = /age-secret-key-(?:pq-)?1[a-z0-9]{1,58}/gi
const LOCKED = /^age-encryption\.org\/v1\n|-----BEGIN AGE ENCRYPTED FILE-----/

/**
 * The secret key in a page's address, behind its #. Undefined if there is none. Throws EssError `usage` for one that was
 * cut or mistyped.
 */
export function keyInAddress(address: string): string | undefined {
  try {
    return splitSealedLink(address).identity
  } catch (error) {
    throw new EssError('usage', RECEIVING.cutKey, { cause: error })
  }
}

/**
 * The secret keys in what a person has pasted, or in a file of theirs: a whole link, a key, or what age-keygen writes.
 * Throws EssError `usage` if there are none, and never quotes it.
 */
export function keysIn(text: string): string[] {
  if (LOCKED.test(text)) throw new EssError('usage', RECEIVING.lockedKeyFile)
  const found = (percentDecode(text) ?? text).match(KEY) ?? []
  const keys = found.map((key) => key.toUpperCase())
  if (keys.some((key) => !isBech32(key))) throw new EssError('usage', RECEIVING.cutKey)
  if (keys.length === 0)
    throw new EssError('usage', /\bage1[a-z0-9]/.test(text) ? RECEIVING.publicKey : RECEIVING.noKeyInText)
  return keys
}
