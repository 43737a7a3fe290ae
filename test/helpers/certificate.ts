import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import { run } from './run.js'
import { tempDir } from './temp-dir.js'

const NEW_KEY = { ec: 'ec -pkeyopt ec_paramgen_curve:prime256v1', rsa: 'rsa:2048' } as const

export interface Certificate {
  readonly key: Buffer
  readonly cert: Buffer
  readonly path: string
  readonly keyPath: string
}

/** A certificate that curl and Node's programs trust which the test starts from now on. */
export async function trustedCertificate(): Promise<Certificate> {
  const pair = await certificate()
  for (const name of ['CURL_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS']) {
    const before = process.env[name]
    process.env[name] = pair.path
    onTestFinished(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  return pair
}

/** A key and a certificate for localhost, which is also the authority that signed it. */
export async function certificate(
  subject = '/CN=localhost',
  kind: keyof typeof NEW_KEY = 'ec',
): Promise<Certificate> {
  const folder = await tempDir()
  const [key, path] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const openssl = await run('openssl', 'openssl', [
    ...`req -x509 -newkey ${NEW_KEY[kind]} -nodes -days 2`.split(' '),
    ...[
      '-subj',
      subject,
      '-addext',
      'subjectAltName=DNS:localhost,IP:127.0.0.1',
      '-keyout',
      key,
      '-out',
      path,
    ],
  ])
  expect((await openssl.ended()).code).toBe(0)
  return { key: await readFile(key), cert: await readFile(path), path, keyPath: key }
}
