import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { certificate } from '../helpers/certificate.js'
import { needs } from '../helpers/needs.js'
import { runCurl } from '../helpers/run-curl.js'
import { startServer } from '../helpers/start-server.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until } from '../helpers/within.js'

beforeEach((context) => needs(context, 'curl', 'openssl'))

const GIB = 2 ** 30
/** A GiB through TLS and back on a busy machine. */
const GIB_MS = 120_000

async function start(...flags: readonly string[]) {
  const pair = await certificate()
  const server = await startServer('--tls-cert', pair.path, '--tls-key', pair.keyPath, ...flags)
  return { pair, server }
}

/** The subject of the certificate that curl was shown. */
async function subjectShown(url: string): Promise<string | undefined> {
  const curl = await runCurl(['-kv', `${url}/health`])
  return /subject: (.*)/.exec((await curl.ended()).stderr)?.[1]
}

test('a certificate replaced during a transfer of 1 GiB leaves it whole, and the next connection has the new one', {
  timeout: 2 * GIB_MS,
}, async () => {
  const { pair, server } = await start('--max-upload-bytes', '2GiB')
  const path = join(await tempDir(), 'sent')
  const hash = await writeFileOf(path, GIB)
  expect(await subjectShown(server.url)).toBe('CN=localhost')
  const sender = await runCurl(['-k', '-H', 'Accept: application/x-ndjson', '-T', path, `${server.url}/`])
  const [, url = ''] = await sender.untilStdout(/"url":"([^"]+)"/)
  const received = join(await tempDir(), 'received')
  // Slow enough for the replacement to come in the midst of it.
  const receiver = await runCurl(['-fk', '--limit-rate', '200M', '-o', received, url])
  await sender.untilStdout(/"progress","bytes":[1-9]/)

  const next = await certificate('/CN=next')
  await copyFile(next.keyPath, pair.keyPath)
  await copyFile(next.path, pair.path)
  await until('the new certificate is shown', async () => (await subjectShown(server.url)) === 'CN=next')
  expect(sender.stdout()).not.toContain('delivered')

  expect((await receiver.ended(GIB_MS)).code).toBe(0)
  const { code, stdout } = await sender.ended()
  expect(code).toBe(0)
  expect(stdout.toString()).toContain(`{"event":"delivered","bytes":${GIB},"confirmed":true}`)
  expect(await sha256OfFile(received)).toBe(hash)
})

test('SIGHUP reads the certificate again, and ends nothing', async () => {
  const { pair, server } = await start()
  const next = await certificate('/CN=next')
  await copyFile(next.keyPath, pair.keyPath)
  await copyFile(next.path, pair.path)
  server.signal('SIGHUP')
  await until('it is logged', () => server.stderr().includes('certificate read again: CN=next'))
  expect(await subjectShown(server.url)).toBe('CN=next')
})
