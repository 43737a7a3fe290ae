// The least that a sealed transfer can cost on node:crypto: chacha20-poly1305 over records of 64 KiB, each under its own
// nonce, sealed and opened, and nothing done with what comes out. Arguments: BYTES.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { CipherReport } from '../ciphers.js'
import { costOf } from './cipher-cost.js'

const CIPHER = 'chacha20-poly1305'
const TAG = { authTagLength: 16 }
const RECORD_BYTES = 64 * 1024
/** 64 MiB of them, so that they come from memory as a file's do, and not from the processor's cache. */
const RECORDS = 1024
const WARM_UP = 2048

const key = randomBytes(32)
const plaintext = Array.from({ length: RECORDS }, () => randomBytes(RECORD_BYTES))
const sealed = plaintext.map((record, at) => sealRecord(record, nonceOf(at)))

function nonceOf(at: number): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(at, 8)
  return nonce
}

function sealRecord(record: Buffer, nonce: Buffer) {
  const cipher = createCipheriv(CIPHER, key, nonce, TAG)
  const body = cipher.update(record)
  cipher.final()
  return { body, tag: cipher.getAuthTag() }
}

function openRecord({ body, tag }: { readonly body: Buffer; readonly tag: Buffer }, nonce: Buffer): void {
  const decipher = createDecipheriv(CIPHER, key, nonce, TAG)
  decipher.setAuthTag(tag)
  decipher.update(body)
  decipher.final()
}

function seal(count: number): void {
  for (let at = 0; at < count; at++) {
    const record = plaintext[at % RECORDS]
    if (record !== undefined) sealRecord(record, nonceOf(at))
  }
}

function open(count: number): void {
  for (let at = 0; at < count; at++) {
    const record = sealed[at % RECORDS]
    if (record !== undefined) openRecord(record, nonceOf(at % RECORDS))
  }
}

seal(WARM_UP)
open(WARM_UP)
const count = Math.ceil(Number(process.argv[2]) / RECORD_BYTES)
const report: CipherReport = { seal: await costOf(() => seal(count)), open: await costOf(() => open(count)) }
console.log(JSON.stringify(report))
