import type { Socket } from 'node:net'
import { connect, createSecureContext, type SecureContext, TLSSocket, type TLSSocketOptions } from 'node:tls'
import { resetConnection, setCarrier } from './linger.js'
import { withResolvers } from './with-resolvers.js'

/*
 * TLS between programs that share a key, which takes the place of certificates (RFC 8446, 2.2): version 1.3 and nothing
 * else. Each side proves by the handshake that it has the key. OpenSSL takes such a key together with an ephemeral key
 * exchange alone, so what was recorded can't be read by those who find out the key later.
 */

/** The one whose hash, SHA-256, Node uses such keys with. */
const CIPHER = 'TLS_AES_128_GCM_SHA256'
const CURVES = 'X25519:prime256v1'

/** The name of the key. There is one. */
const IDENTITY = 'ess'

/** Of what `bindingOf` returns. The label is for uses without a standard (RFC 5705, 4). */
const BINDING_BYTES = 32
const BINDING_LABEL = 'EXPERIMENTAL ess'

let shared: SecureContext | undefined

/** Making one takes longer than a handshake. It trusts no certificate. */
function context(): SecureContext {
  shared ??= createSecureContext({
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHER,
    ecdhCurve: CURVES,
    ca: [],
  })
  return shared
}

/** Node's types leave the callback out. Its own `tls.createServer` makes its sockets with it. */
interface KeyedOptions extends TLSSocketOptions {
  pskCallback(socket: TLSSocket, identity: string): Buffer | null
}

/**
 * Begins TLS on a connection that this program has opened (`caller`) or accepted (`listener`). Resolves with the
 * connection inside, paused. Rejects if the other side doesn't have the key, or the connection ends before.
 */
export async function secureByKey(
  side: 'caller' | 'listener',
  carrier: Socket,
  key: Buffer,
): Promise<TLSSocket> {
  return side === 'caller'
    ? await secured(
        connect({
          socket: carrier,
          secureContext: context(),
          // Whatever NODE_TLS_REJECT_UNAUTHORIZED says.
          rejectUnauthorized: true,
          pskCallback: () => ({ psk: key, identity: IDENTITY }),
        }),
        'secureConnect',
        carrier,
      )
    : await secured(new TLSSocket(carrier, listenerOptions(key)), 'secure', carrier)
}

function listenerOptions(key: Buffer): KeyedOptions {
  return {
    isServer: true,
    secureContext: context(),
    pskCallback: (_socket, identity) => (identity === IDENTITY ? key : null),
  }
}

/** What is the same at both ends of one session of TLS, and at no other's. */
export function bindingOf(connection: TLSSocket): Buffer {
  return connection.exportKeyingMaterial(BINDING_BYTES, BINDING_LABEL, Buffer.alloc(0))
}

async function secured(connection: TLSSocket, event: string, carrier: Socket): Promise<TLSSocket> {
  setCarrier(connection, carrier)
  const { promise, resolve, reject } = withResolvers<void>()
  const failed = ({ code = 'unknown' }: NodeJS.ErrnoException) => {
    // OpenSSL's own words have numbers and places of its source in them.
    reject(new Error(`The other node ended the handshake of TLS (${code})`))
    // Later: bytes that are none of this session's are an error, and Node goes on as if nothing had happened.
    if (!connection.destroyed) resetConnection(connection)
  }
  const ended = () => reject(new Error('The other node ended the connection'))
  // It stays: an error without a listener is a crash.
  connection.on('error', failed)
  connection.once('close', ended).once(event, resolve)
  await promise
  connection.off('close', ended).pause()
  return connection
}
