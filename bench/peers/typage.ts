// age's own library for JavaScript, as a program would use it without ess: a web stream through its Encrypter, and the
// result through its Decrypter. Arguments: BYTES.
import { randomBytes } from 'node:crypto'
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption'
import type { CipherReport } from '../ciphers.js'
import { costOf } from './cipher-cost.js'

const PIECE = randomBytes(64 * 1024)
const WARM_UP_BYTES = 8 * 2 ** 20

const identity = await generateX25519Identity()
const encrypter = new Encrypter()
encrypter.addRecipient(await identityToRecipient(identity))
const decrypter = new Decrypter()
decrypter.addIdentity(identity)

/** As many bytes as this, made when they are asked for. */
function source(bytes: number): ReadableStream<Uint8Array> {
  let left = bytes
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close()
      controller.enqueue(PIECE.subarray(0, Math.min(left, PIECE.length)))
      left -= PIECE.length
    },
  })
}

async function seal(bytes: number): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = []
  for await (const piece of await encrypter.encrypt(source(bytes))) pieces.push(piece)
  return pieces
}

async function open(pieces: readonly Uint8Array[]): Promise<number> {
  const ciphertext = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece)
      controller.close()
    },
  })
  let bytes = 0
  for await (const piece of await decrypter.decrypt(ciphertext)) bytes += piece.length
  return bytes
}

const bytes = Number(process.argv[2])
await open(await seal(WARM_UP_BYTES))
let sealed: Uint8Array[] = []
const sealing = await costOf(async () => {
  sealed = await seal(bytes)
})
const opening = await costOf(async () => {
  const opened = await open(sealed)
  if (opened !== bytes) throw new Error(`Expected ${bytes} bytes, got ${opened}`)
})
const report: CipherReport = { seal: sealing, open: opening }
console.log(JSON.stringify(report))
