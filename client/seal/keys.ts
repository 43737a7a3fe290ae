import { isBech32 } from '../../shared/bech32.js'
import { EssError } from '../../shared/index.js'

/** What a receiver can open a header with. */
export interface Keys {
  /** Secret keys: `AGE-SECRET-KEY-1…` or `AGE-SECRET-KEY-PQ-1…`. */
  readonly identities: readonly string[]
  /** A passphrase, or a function that asks for it, which is called only if the header wants one. */
  readonly passphrase?: string | (() => Promise<string>) | undefined
}

/** For whom a header is made. */
export type Lock = { readonly recipients: readonly string[] } | { readonly passphrase: string }

/** The kinds of age keys. `pq` are post-quantum keys. */
export type KeyKind = 'x25519' | 'pq'

const RECIPIENT = { x25519: /^age1[a-z0-9]{58}$/, pq: /^age1pq1[a-z0-9]{1952}$/ } as const
const IDENTITY = {
  x25519: /^AGE-SECRET-KEY-1[A-Z0-9]{58}$/,
  pq: /^AGE-SECRET-KEY-PQ-1[A-Z0-9]{58}$/,
} as const

/** The kind of a public key. Throws EssError `usage` if it is none of ours. `where` says where it was found. */
export function recipientKind(recipient: string, where = 'A recipient'): KeyKind {
  if (isBech32(recipient)) {
    if (RECIPIENT.pq.test(recipient)) return 'pq'
    if (RECIPIENT.x25519.test(recipient)) return 'x25519'
  }
  throw new EssError(
    'usage',
    `${where} must be a public key of age, age1… or age1pq1…${whyNoRecipient(recipient)}`,
  )
}

/** The kind of a secret key. Throws EssError `usage` if it is none of ours, and never quotes it. */
export function identityKind(identity: string, where = 'An identity'): KeyKind {
  if (isBech32(identity)) {
    if (IDENTITY.pq.test(identity)) return 'pq'
    if (IDENTITY.x25519.test(identity)) return 'x25519'
  }
  throw new EssError(
    'usage',
    `${where} must be a secret key of age, AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…${whyNoIdentity(identity)}`,
  )
}

function whyNoRecipient(text: string): string {
  // Before all others, because it must not be shown.
  if (/^age-secret-key-/i.test(text))
    return '. This is a secret key: give its public one, which age-keygen -y prints.'
  if (/^(?:ssh|ecdsa|sk)-/.test(text)) return '. SSH keys are not taken: make one with age-keygen.'
  if (/^age1(?!pq1)[a-z0-9]+1/.test(text)) return '. Keys of age plugins are not taken.'
  if (/^age1/.test(text)) return `, and ${shown(text)} is not complete or has a typo.`
  return `, not ${shown(text)}.`
}

function whyNoIdentity(text: string): string {
  if (/^age1/.test(text)) return '. This is a public key.'
  if (/^AGE-PLUGIN-/.test(text)) return '. Keys of age plugins are not taken.'
  if (/^-----BEGIN /.test(text)) return '. SSH keys are not taken.'
  if (/^age-secret-key-/i.test(text)) return '. This one is not complete or has a typo.'
  return '.'
}

/** A public key may be 2,000 characters long. */
function shown(text: string): string {
  return text.length > 70 ? `${text.slice(0, 30)}…` : text
}
