import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import { withResolvers } from '../node/with-resolvers.js'

/*
 * Two nodes prove to each other that they know the cluster's secret, and neither says it:
 *
 *   listener   its hello: VERSION, whether it wants TLS, 32 random bytes
 *              TLS, which the caller begins if one of them wants it
 *   caller     its hello, and its proof
 *   listener   its proof
 *
 * A proof is an HMAC of both hellos under the secret, and in TLS under one that is of that session, so it is good for this
 * one connection. It names its side, so that it can't be sent back, and the node that is called, so that a link never ends
 * at another node that has taken over an address. The caller proves first: a stranger who calls gets 43 bytes that say
 * nothing but whether it has to begin with TLS.
 */

/** Another version is refused like a stranger. Change it with the messages. */
const VERSION = Buffer.from('ess-link 2')
/** Behind the version. */
const WANTS_TLS = 's'.charCodeAt(0)
const TAKES_BOTH = '\n'.charCodeAt(0)
const NONCE_BYTES = 32
const HELLO_BYTES = VERSION.length + 1 + NONCE_BYTES
const PROOF_BYTES = 32

/** What each side says first. */
export interface Hello {
  readonly bytes: Buffer
  /** True if it has no links but those inside TLS. */
  readonly wantsTls: boolean
}

/** A hello for one connection. */
export function newHello(wantsTls: boolean): Hello {
  const wish = Buffer.from([wantsTls ? WANTS_TLS : TAKES_BOTH])
  return { bytes: Buffer.concat([VERSION, wish, randomBytes(NONCE_BYTES)]), wantsTls }
}

/** Reads the hello of the node that was called. */
export async function readHello(connection: Socket): Promise<Hello> {
  return parseHello(await readBytes(connection, HELLO_BYTES))
}

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

/** What both sides have said, and who was called. */
export interface Call {
  /** The listener's hello, and the caller's. */
  readonly hellos: readonly [Hello, Hello]
  /** The name of the node that is called. */
  readonly name: string
}

/** Proves to the node that is called that we know the secret, and has it prove the same. Rejects if it can't. */
export async function call(connection: Socket, secret: Buffer, { hellos, name }: Call): Promise<void> {
  connection.write(Buffer.concat([hellos[1].bytes, proofOf('caller', secret, { hellos, name })]))
  check(await readBytes(connection, PROOF_BYTES), proofOf('listener', secret, { hellos, name }))
}

/** The other side of `call`, at the node `name`, which has sent its own hello. Resolves with the caller's. */
export async function answerCall(
  connection: Socket,
  secret: Buffer,
  hello: Hello,
  name: string,
): Promise<Hello> {
  const reply = await readBytes(connection, HELLO_BYTES + PROOF_BYTES)
  const theirs = parseHello(reply.subarray(0, HELLO_BYTES))
  const call: Call = { hellos: [hello, theirs], name }
  check(reply.subarray(HELLO_BYTES), proofOf('caller', secret, call))
  connection.write(proofOf('listener', secret, call))
  return theirs
}

function parseHello(bytes: Buffer): Hello {
  const wish = bytes[VERSION.length]
  if (!bytes.subarray(0, VERSION.length).equals(VERSION) || (wish !== WANTS_TLS && wish !== TAKES_BOTH))
    throw new Error('The other node speaks otherwise')
  return { bytes, wantsTls: wish === WANTS_TLS }
}

function proofOf(side: 'caller' | 'listener', secret: Buffer, { hellos, name }: Call): Buffer {
  const mac = createHmac('sha256', secret).update(`${side}\n`)
  for (const { bytes } of hellos) mac.update(bytes)
  return mac.update(name).digest()
}

function check(got: Buffer, expected: Buffer): void {
  if (!timingSafeEqual(got, expected)) throw new Error('The other node does not know the secret')
}
