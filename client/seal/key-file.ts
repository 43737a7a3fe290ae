import { EssError } from '../../shared/index.js'
import { identityKind, recipientKind } from './keys.js'

/**
 * Reads a file of secret keys, as age-keygen writes it: one on each line; empty lines and lines that begin with # don't
 * count. `name` is what a message calls it. Throws EssError `usage`, which tells the line, and never what is in it.
 */
export function parseIdentityFile(text: string, name: string): string[] {
  if (/^age-encryption\.org\/v1\n|^\s*-----BEGIN AGE ENCRYPTED FILE-----/.test(text)) {
    const advice = `Open it with age -d ${name}, and pass what comes out.`
    throw new EssError('usage', `${name} is locked with a passphrase, which is not asked for here. ${advice}`)
  }
  return keysIn(text, name, 'secret keys', identityKind)
}

/** The same for a file of public keys, such as `ess send --to-file` takes. */
export function parseRecipientFile(text: string, name: string): string[] {
  return keysIn(text, name, 'public keys', recipientKind)
}

function keysIn(
  text: string,
  name: string,
  what: string,
  check: (key: string, where: string) => unknown,
): string[] {
  const keys = text.split('\n').flatMap((line, at) => {
    const key = line.trim()
    if (key === '' || key.startsWith('#')) return []
    check(key, `Line ${at + 1} of ${name}`)
    return [key]
  })
  if (keys.length === 0) throw new EssError('usage', `${name} has no ${what}.`)
  return keys
}
