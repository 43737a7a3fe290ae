import './web-crypto.js'
import { Decrypter } from 'age-encryption'
import { damaged, isForPassphrase, recipientTypes } from '../../shared/age-header.js'
import { EssError } from '../../shared/index.js'
import type { OpenHeader } from './age.js'

/*
 * Opens headers of age files, by typage. Import this one by `import()`, because typage is larger than all the rest of a page.
 */

/** What a receiver can open a header with. */
export interface Keys {
  /** Secret keys, `AGE-SECRET-KEY-1…` or `AGE-SECRET-KEY-PQ-1…`, whose checksums are right. */
  readonly identities: readonly string[]
  readonly password?: string | undefined
}

/**
 * Opens a header, which ends where `headerEnd` says. Throws EssError `wrong-key` if no key matches, and `not-authentic` if
 * it is not well-formed or was changed. A password takes a second, in which the page stands still.
 */
export async function openHeader(header: Uint8Array, keys: Keys): Promise<OpenHeader> {
  const isLocked = isForPassphrase(header)
  // Else a stranger's recipient could stand beside it, and the password would prove nothing about the sender.
  if (isLocked && recipientTypes(header).length > 1) throw damaged('has a password and other recipients')
  const decrypter = new Decrypter()
  for (const identity of keys.identities) decrypter.addIdentity(identity)
  if (isLocked && keys.password !== undefined) decrypter.addPassphrase(keys.password)
  let isMatched = true
  decrypter.addIdentity({
    // It is asked when all others had no match.
    unwrapFileKey() {
      isMatched = false
      return null
    },
  })
  try {
    return { header, fileKey: await decrypter.decryptHeader(header) }
  } catch (error) {
    if (!isMatched) throw new EssError('wrong-key', undefined, { cause: error })
    throw damaged('is not well-formed, or was changed', error)
  }
}
