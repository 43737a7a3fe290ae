import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { beforeEach, expect, test } from 'vitest'
import { secureByKey } from '../../../server/node/keyed-tls.js'
import { needs } from '../../helpers/needs.js'
import { listening } from '../../helpers/recording-proxy.js'
import { run } from '../../helpers/run.js'

const KEY = randomBytes(32)

beforeEach((context) => needs(context, 'openssl'))

/** How a listener by `KEY` ends the handshake of OpenSSL's own client. */
async function handshakeWith(...args: readonly string[]): Promise<string> {
  const ends: string[] = []
  const server = createServer({ allowHalfOpen: true }, (connection) => {
    secureByKey('listener', connection, KEY).then(
      (secured) => {
        ends.push(secured.getCipher().name)
        secured.end()
      },
      (error: Error) => ends.push(error.message),
    )
  })
  const port = await listening(server)
  const client = await run('openssl s_client', 'openssl', [
    ...['s_client', '-connect', `127.0.0.1:${port}`, '-psk_identity', 'ess', ...args],
  ])
  client.stdin.end()
  await client.ended()
  return ends.join()
}

const OWN_KEY = ['-psk', KEY.toString('hex')]

test('another implementation with the key is let in', async () => {
  expect(await handshakeWith('-tls1_3', ...OWN_KEY)).toBe('TLS_AES_128_GCM_SHA256')
})

test.each([
  ['without the key', ['-tls1_3', '-psk', randomBytes(32).toString('hex')], 'BINDER_DOES_NOT_VERIFY'],
  [
    'by another name of it',
    ['-tls1_3', ...OWN_KEY, '-psk_identity', 'me'],
    'NO_SUITABLE_SIGNATURE_ALGORITHM',
  ],
  // What was recorded could be read with the key later.
  [
    'without a key exchange',
    ['-tls1_3', ...OWN_KEY, '-groups', 'P-521', '-allow_no_dhe_kex'],
    'NO_SUITABLE_KEY_SHARE',
  ],
  [
    'with another cipher',
    ['-tls1_3', ...OWN_KEY, '-ciphersuites', 'TLS_CHACHA20_POLY1305_SHA256'],
    'NO_SHARED_CIPHER',
  ],
  ['by TLS 1.2', ['-tls1_2', ...OWN_KEY, '-cipher', 'PSK'], 'UNSUPPORTED_PROTOCOL'],
])('a client %s is refused', async (_what, args, code) => {
  expect(await handshakeWith(...args)).toBe(`The other node ended the handshake of TLS (ERR_SSL_${code})`)
})
