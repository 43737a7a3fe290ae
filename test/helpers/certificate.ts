import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { run } from './run.js'
import { tempDir } from './temp-dir.js'

const NEW_KEY = { ec: 'ec -pkeyopt ec_paramgen_curve:prime256v1', rsa: 'rsa:2048' } as const

/** A key and a certificate for localhost, which is also the authority that signed it. */
export async function certificate(
  subject = '/CN=localhost',
  kind: keyof typeof NEW_KEY = 'ec',
): Promise<{
  readonly key: Buffer
  readonly cert: Buffer
  readonly path: string
  readonly keyPath: string
}> {
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
