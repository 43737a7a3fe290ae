import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { damaged } from '../../shared/age-header.js'

/**
 * The recipient type `scrypt` of age-encryption.org/v1. By OpenSSL, on a thread of its own, because in JavaScript it holds up
 * all else for a second.
 */

/** 2^18, as age has it: about a second, and 256 MiB of memory. */
const WORK_FACTOR = 18
/** Each one more doubles time and memory; a stranger's header could ask for all there is. This is 1 GiB. */
const MAX_WORK_FACTOR = 20

const LABEL = 'age-encryption.org/v1/scrypt'
const SALT_BYTES = 16
const WRAPPED_KEY_BYTES = 32
const BLOCK_SIZE = 8
const CIPHER = 'chacha20-poly1305'
const TAG_BYTES = 16

/** A recipient in a header. */
interface Stanza {
  readonly args: string[]
  readonly body: Uint8Array
}

/** A recipient for age: anyone who knows the passphrase. */
export function passphraseRecipient(passphrase: string) {
  return {
    async wrapFileKey(fileKey: Uint8Array): Promise<Stanza[]> {
      const salt = randomBytes(SALT_BYTES)
      const cipher = createCipheriv(CIPHER, await keyOf(passphrase, salt, WORK_FACTOR), Buffer.alloc(12), {
        authTagLength: TAG_BYTES,
      })
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()])
      return [{ args: ['scrypt', unpadded(salt), String(WORK_FACTOR)], body }]
    },
  }
}

/** An identity for age: a passphrase. It throws EssError `not-authentic` for a stanza that breaks the rules. */
export function passphraseIdentity(passphrase: string) {
  return {
    async unwrapFileKey(stanzas: readonly Stanza[]): Promise<Uint8Array | null> {
      const stanza = stanzas.find(({ args }) => args[0] === 'scrypt')
      if (stanza === undefined) return null
      const { salt, workFactor } = readStanza(stanza)
      return opened(stanza.body, await keyOf(passphrase, salt, workFactor))
    },
  }
}

function readStanza({ args, body }: Stanza): { readonly salt: Buffer; readonly workFactor: number } {
  const [, encodedSalt = '', factor = '', ...more] = args
  const salt = Buffer.from(encodedSalt, 'base64')
  const isWellFormed =
    salt.length === SALT_BYTES &&
    unpadded(salt) === encodedSalt &&
    /^[1-9]\d{0,2}$/.test(factor) &&
    more.length === 0 &&
    body.length === WRAPPED_KEY_BYTES
  if (!isWellFormed) throw damaged('has a passphrase that is not well-formed')
  const workFactor = Number(factor)
  if (workFactor > MAX_WORK_FACTOR)
    throw damaged(`wants 2^${workFactor} steps for the passphrase, and we take 2^${MAX_WORK_FACTOR} at most`)
  return { salt, workFactor }
}

function opened(body: Uint8Array, key: Uint8Array): Buffer | null {
  const decipher = createDecipheriv(CIPHER, key, Buffer.alloc(12), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(body.subarray(-TAG_BYTES))
  const fileKey = decipher.update(body.subarray(0, -TAG_BYTES))
  try {
    decipher.final()
  } catch {
    // Another passphrase.
    return null
  }
  return fileKey
}

function keyOf(passphrase: string, salt: Uint8Array, workFactor: number): Promise<Buffer> {
  const cost = 2 ** workFactor
  // Node's default refuses more than 32 MiB. The second half is for what OpenSSL needs beside the 128 N r bytes.
  const options = { cost, blockSize: BLOCK_SIZE, parallelization: 1, maxmem: 2 * 128 * cost * BLOCK_SIZE }
  return new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.concat([Buffer.from(LABEL), salt]), 32, options, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
}

/** Base64 as age has it, without `=` at its end. */
function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
