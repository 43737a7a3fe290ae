import { Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption'
import { PAYLOAD_NONCE_BYTES, TAG_BYTES } from '../../shared/age-payload.js'

/*
 * Headers of age files, by typage: the one file that imports it. Import this one by `import()`, because it is larger than
 * all the rest of a page.
 */

/** A header, and the key of the payloads that may follow it. */
export interface OpenHeader {
  readonly header: Uint8Array
  readonly fileKey: Uint8Array
}

/**
 * Over plain HTTP to another machine, a browser has no `crypto.subtle`. typage falls back to JavaScript where a browser says
 * that it doesn't support X25519, and not where there is nothing to ask.
 */
if (globalThis.crypto.subtle === undefined) {
  const importKey = () => Promise.reject(new DOMException('There is no Web Crypto', 'NotSupportedError'))
  Object.defineProperty(globalThis.crypto, 'subtle', { value: { importKey } })
}

/** Makes a header for a new secret key, `AGE-SECRET-KEY-1…`, which alone opens it. */
export async function makeHeader(): Promise<OpenHeader & { readonly identity: string }> {
  const identity = await generateX25519Identity()
  const encrypter = new Encrypter()
  encrypter.addRecipient(await identityToRecipient(identity))
  let fileKey: Uint8Array | undefined
  encrypter.addRecipient({
    // A recipient of no kind, which is told the file key like all others.
    wrapFileKey(key) {
      fileKey = key.slice()
      return []
    },
  })
  const emptyFile = await encrypter.encrypt('')
  if (fileKey === undefined) throw new Error('Expected age to wrap the file key for every recipient')
  // Behind the header is the payload of an empty file, whose nonce must not be used for another one.
  return { header: emptyFile.slice(0, -(PAYLOAD_NONCE_BYTES + TAG_BYTES)), fileKey, identity }
}
