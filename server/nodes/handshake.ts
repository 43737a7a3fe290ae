import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import { withResolvers } from '../node/with-resolvers.js'

/*
 * Two nodes prove to each other that they know the cluster's secret, and neither says it:
 *
 *   listener   VERSION, 32 random bytes
 *   caller     VERSION, 32 random bytes, the caller's proof
 *   listener   the listener's proof
 *
 * A proof is an HMAC of both random values under the secret, so it is good for this one connection. It names its side,
 * so that it can't be sent back, and the node that is called, so that a link never ends at another node that has taken
 * over an address. The caller proves first: a stranger who calls gets 43 bytes that say nothing.
 */

/** Another version is refused like a stranger. Change it with the messages. */
const VERSION = Buffer.from('ess-link 2\n')
const NONCE_BYTES = 32
const PROOF_BYTES = 32

/** How long a node may take to prove what it is, and to say for whom it calls. */
export const HANDSHAKE_MS = 5000

/** Reads exactly `length` bytes. Rejects if the connection ends before. What comes behind them stays in the connection. */
export function readBytes(connection: Socket, length: number): Promise<Buffer> {
  const { promise, resolve, reject } = withResolvers<Buffer>()
  const parts: Buffer[] = []
  let missing = length
  const take = (part: Buffer) => {
    parts.push(part)
    missing -= part.length
    if (missing > 0) return
    stop()
    connection.pause()
    const all = Buffer.concat(parts)
    if (missing < 0) connection.unshift(all.subarray(length))
    resolve(all.subarray(0, length))
  }
  const end = () => {
    stop()
    reject(new Error('The other node ended the connection'))
  }
  const stop = () => connection.off('data', take).off('end', end).off('close', end)
  connection.on('data', take).on('end', end).on('close', end)
  connection.resume()
  return promise
}

/** Proves to the node `name` that we know the secret, and has it prove the same. Rejects if it can't. */
export async function call(connection: Socket, secret: Buffer, name: string): Promise<void> {
  const greeting = await readBytes(connection, VERSION.length + NONCE_BYTES)
  const nonces = [withoutVersion(greeting), randomBytes(NONCE_BYTES)] as const
  connection.write(Buffer.concat([VERSION, nonces[1], proofOf('caller', secret, name, nonces)]))
  check(await readBytes(connection, PROOF_BYTES), proofOf('listener', secret, name, nonces))
}

/** The other side of `call`, at the node `name`. */
export async function answerCall(connection: Socket, secret: Buffer, name: string): Promise<void> {
  const nonce = randomBytes(NONCE_BYTES)
  connection.write(Buffer.concat([VERSION, nonce]))
  const reply = withoutVersion(await readBytes(connection, VERSION.length + NONCE_BYTES + PROOF_BYTES))
  const nonces = [nonce, reply.subarray(0, NONCE_BYTES)] as const
  check(reply.subarray(NONCE_BYTES), proofOf('caller', secret, name, nonces))
  connection.write(proofOf('listener', secret, name, nonces))
}

function withoutVersion(message: Buffer): Buffer {
  if (!message.subarray(0, VERSION.length).equals(VERSION)) throw new Error('The other node speaks otherwise')
  return message.subarray(VERSION.length)
}

function proofOf(
  side: 'caller' | 'listener',
  secret: Buffer,
  name: string,
  nonces: readonly [Buffer, Buffer],
): Buffer {
  const mac = createHmac('sha256', secret).update(VERSION).update(`${side}\n`)
  for (const nonce of nonces) mac.update(nonce)
  return mac.update(name).digest()
}

function check(got: Buffer, expected: Buffer): void {
  if (!timingSafeEqual(got, expected)) throw new Error('The other node does not know the secret')
}
