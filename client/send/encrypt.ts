import { EssError, safeFileName } from '../../shared/index.js'
import { checkOptionNames, kindOf } from '../../shared/option-names.js'
import type { Source } from '../ends/source.js'
import { nearestName } from '../http/nearest-name.js'
import type { Lock } from '../seal/keys.js'
import { ENCRYPTION, type Encryption, type SendOptions } from './send-options.js'

/** What is sent in place of a source: the same as an age file. */
export interface Encrypted {
  readonly source: Source
  /** The secret key for the link; undefined if it is for recipients or has a passphrase. */
  readonly identity: string | undefined
}

/** Encrypts a source. Throws EssError `usage` if there are too many recipients, or one that is none. */
export async function encrypt(
  plain: Source,
  how: true | Encryption,
  { name = plain.name }: SendOptions,
): Promise<Encrypted> {
  // They load typage, which most transfers don't need.
  const { makeHeader, makeIdentity, recipientOf } = await import('../seal/age.js')
  const { sealedSource } = await import('../seal/sealed-source.js')
  const seal = async (lock: Lock) => sealedSource(plain, safeFileName(name ?? ''), await makeHeader(lock))
  if (how !== true) return { source: await seal(lockOf(how)), identity: undefined }
  const identity = await makeIdentity()
  return { source: await seal({ recipients: [await recipientOf(identity)] }), identity }
}

/** Throws EssError `usage` for a wrong option of a caller without types. */
export function checkEncryption(how: unknown): asserts how is SendOptions['encrypt'] {
  if (how === undefined || typeof how === 'boolean') return
  checkOptionNames('send: encrypt', how, ENCRYPTION, nearestName)
  const { recipients, passphrase } = how as Readonly<Record<string, unknown>>
  if ((recipients === undefined) === (passphrase === undefined))
    throw new EssError('usage', 'send: encrypt takes either recipients or a passphrase.')
  const areStrings = Array.isArray(recipients) && recipients.every((one) => typeof one === 'string')
  if (recipients !== undefined && !areStrings)
    throw new EssError('usage', 'send: encrypt.recipients must be an array of public keys, such as age1….')
  if (passphrase !== undefined && typeof passphrase !== 'string')
    throw new EssError('usage', `send: encrypt.passphrase must be a string, not ${kindOf(passphrase)}.`)
}

function lockOf({ recipients = [], passphrase }: Encryption): Lock {
  return passphrase === undefined ? { recipients } : { passphrase }
}
