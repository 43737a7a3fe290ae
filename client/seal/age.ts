import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption'
import { damaged, isForPassphrase, recipientTypes } from '../../shared/age-header.js'
import { EssError } from '../../shared/index.js'
import { identityKind, type Keys, type Lock, recipientKind } from './keys.js'
import { passphraseIdentity, passphraseRecipient } from './passphrase.js'
import { PAYLOAD_NONCE_BYTES, TAG_BYTES } from './payload.js'

/*
 * Headers of age files, by typage: the one file that imports it. Import this one by `import()`, because it takes as long
 * to load as all the rest of `ess`.
 */

/** A header, and the key of the payloads that may follow it. */
export interface OpenHeader {
  readonly header: Buffer
  readonly fileKey: Buffer
}

/** Makes a header for a new file key. Throws EssError `usage` for a recipient that is none. */
export async function makeHeader(lock: Lock): Promise<OpenHeader> {
  const encrypter = new Encrypter()
  if ('passphrase' in lock) addPassphrase(encrypter, lock.passphrase)
  else addRecipients(encrypter, lock.recipients)
  let fileKey: Buffer | undefined
  encrypter.addRecipient({
    // A recipient of no kind, which is told the file key like all others.
    wrapFileKey(key) {
      fileKey = Buffer.from(key)
      return []
    },
  })
  const emptyFile = await encrypter.encrypt('').catch((error: unknown) => {
    // X25519 takes no point of low order (RFC 7748, 6.1), which someone may have chosen.
    throw new EssError('usage', 'One of the recipients is no key that anything can be encrypted for.', {
      cause: error,
    })
  })
  if (fileKey === undefined) throw new Error('Expected age to wrap the file key for every recipient')
  // Behind the header is the payload of an empty file, whose nonce must not be used for another one.
  return { header: Buffer.from(emptyFile.subarray(0, -(PAYLOAD_NONCE_BYTES + TAG_BYTES))), fileKey }
}

/**
 * Opens a header, which ends where `headerEnd` says. Throws EssError `wrong-key` if no key matches, `not-authentic` if it is
 * not well-formed or was changed, `usage` for an identity that is none, or what `passphrase()` throws.
 */
export async function openHeader(header: Buffer, keys: Keys): Promise<OpenHeader> {
  const wantsPassphrase = isForPassphrase(header)
  // Else a stranger's recipient could stand beside it, and the passphrase would prove nothing about the sender.
  if (wantsPassphrase && recipientTypes(header).length > 1)
    throw damaged('has a passphrase and other recipients')
  const decrypter = new Decrypter()
  for (const identity of keys.identities) {
    identityKind(identity)
    decrypter.addIdentity(identity)
  }
  if (wantsPassphrase && keys.passphrase !== undefined) {
    const { passphrase } = keys
    decrypter.addIdentity(
      passphraseIdentity(typeof passphrase === 'string' ? passphrase : await passphrase()),
    )
  }
  let isMatched = true
  decrypter.addIdentity({
    // It is asked when all others had no match.
    unwrapFileKey() {
      isMatched = false
      return null
    },
  })
  try {
    return { header, fileKey: Buffer.from(await decrypter.decryptHeader(header)) }
  } catch (error) {
    if (error instanceof EssError) throw error
    throw isMatched ? damaged('is not well-formed, or was changed', error) : wrongKey(wantsPassphrase, keys)
  }
}

/** Makes a secret key, `AGE-SECRET-KEY-1…`. */
export async function makeIdentity(): Promise<string> {
  return await generateX25519Identity()
}

/** The public key of a secret one. Throws EssError `usage` if it is none. */
export async function recipientOf(identity: string): Promise<string> {
  identityKind(identity)
  return await identityToRecipient(identity)
}

function addPassphrase(encrypter: Encrypter, passphrase: string): void {
  if (passphrase === '') throw new EssError('usage', 'A passphrase must not be empty.')
  encrypter.addRecipient(passphraseRecipient(passphrase))
}

function addRecipients(encrypter: Encrypter, recipients: readonly string[]): void {
  if (recipients.length === 0) throw new EssError('usage', 'Give at least one recipient.')
  const kinds = new Set(recipients.map((recipient) => recipientKind(recipient)))
  // As age has it: one recipient whose key a quantum computer finds would open it for all.
  if (kinds.size > 1) {
    throw new EssError('usage', 'Recipients age1pq1… and age1… cannot be mixed. Send it once for each kind.')
  }
  for (const recipient of recipients) encrypter.addRecipient(recipient)
}

function wrongKey(wantsPassphrase: boolean, { passphrase }: Keys): EssError {
  if (!wantsPassphrase) {
    const words =
      'None of your keys opens this file, and a key behind the # of the link is one of them. It was encrypted for another key.'
    return new EssError('wrong-key', words)
  }
  const isAnother = passphrase !== undefined
  return new EssError(
    'wrong-key',
    isAnother ? 'This is not the password of this file.' : 'This file opens with a password, not with a key.',
  )
}
