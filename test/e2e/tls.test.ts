import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createService } from '../../server/index.js'
import { sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { certificate } from '../helpers/certificate.js'
import { needs } from '../helpers/needs.js'
import { runCurl } from '../helpers/run-curl.js'
import { runEss } from '../helpers/run-ess.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../helpers/within.js'

beforeEach((context) => needs(context, 'curl', 'openssl'))

const SIZE = 3_000_017
/** Fewer than one client may have waiting. */
const AT_ONCE = 30

async function start(...flags: readonly string[]) {
  const pair = await certificate()
  const server = await startServerHere('--tls-cert', pair.path, '--tls-key', pair.keyPath, ...flags)
  return { pair, server }
}

/** The URL of a server of Node's own, in this process, with a service in it. */
async function startHttps(): Promise<string> {
  const service = createService()
  const server = createHttpsServer(await certificate(), service.handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    service.stopNow()
    server.closeAllConnections()
    await within(DEADLINE_MS, 'it closes', new Promise((resolve) => server.close(resolve)))
  })
  // A server that listens on TCP has this kind of address.
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('over TLS', () => {
  test('ess sends and gets', async () => {
    const { pair, server } = await start()
    const env = { NODE_EXTRA_CA_CERTS: pair.path }
    const path = join(await tempDir(), 'sent')
    const hash = await writeFileOf(path, SIZE)
    const sender = await runEss(server.url, ['send', '--json', path], { env })
    const [, url = ''] = await sender.untilStdout(/"url":"([^"]+)"/)
    expect(url.startsWith(`${server.url}/`)).toBe(true)
    const received = join(await tempDir(), 'received')
    const receiver = await runEss(undefined, ['get', url, '-o', received], { env })
    expect((await receiver.ended()).code).toBe(0)
    const { code, stdout } = await sender.ended()
    expect(code).toBe(0)
    expect(stdout.toString()).toContain(`{"event":"delivered","bytes":${SIZE},"confirmed":true}`)
    expect(await sha256OfFile(received)).toBe(hash)
  })

  test('ess sends a pipe in pieces', async () => {
    const { pair, server } = await start('--reservations', '--resume-within', '60')
    const env = { NODE_EXTRA_CA_CERTS: pair.path }
    const path = join(await tempDir(), 'sent')
    // Three pieces: the answer to one is read before the server has heard that it is out.
    const hash = await writeFileOf(path, 20_000_000)
    const sender = await runEss(server.url, ['send', '--reserve', '--json'], { env, stdin: { file: path } })
    const [, url = ''] = await sender.untilStdout(/"url":"([^"]+)"/)
    const received = join(await tempDir(), 'received')
    const receiver = await runEss(undefined, ['get', url, '-o', received], { env })
    expect((await receiver.ended()).code).toBe(0)
    const { code, stdout } = await sender.ended()
    expect(code).toBe(0)
    expect(stdout.toString()).not.toContain('interrupted')
    expect(await sha256OfFile(received)).toBe(hash)
    expect(server.stderr()).not.toContain('refused')
  })

  test('ess refuses a certificate that it does not know', async () => {
    const { server } = await start()
    const path = join(await tempDir(), 'sent')
    await writeFileOf(path, 1)
    const { code, stderr } = await (await runEss(server.url, ['send', path])).ended()
    expect(code).toBe(6)
    expect(stderr).toContain('certificate')
  })

  test('curl sends and receives by HTTP/1.1', async () => {
    const { server } = await start()
    const path = join(await tempDir(), 'sent')
    const hash = await writeFileOf(path, SIZE)
    const sender = await runCurl(['-k', '--http1.1', '-T', path, `${server.url}/`])
    const [url = ''] = await sender.untilStdout(/^https\S+/)
    const received = join(await tempDir(), 'received')
    const receiver = await runCurl(['-fk', '--http1.1', '-o', received, url])
    expect((await receiver.ended()).code).toBe(0)
    expect((await sender.ended()).code).toBe(0)
    expect(await sha256OfFile(received)).toBe(hash)
  })

  /**
   * A curl that has its Content-Length closes the connection, under whatever the server still has to say: its end
   * and our goodbye cross. Which of them is first is a matter of moments, so many are asked.
   */
  const SERVERS: Record<string, () => Promise<string>> = {
    'ess-server': async () => (await start()).server.url,
    'an https server of the embedder’s': async () => await startHttps(),
  }
  test.each(Object.entries(SERVERS))(
    'every receiver that has everything is told of as one by %s, whoever says goodbye first',
    async (_whose, serve) => {
      const url = await serve()
      const path = join(await tempDir(), 'sent')
      await writeFileOf(path, SIZE)
      const codes = Array.from({ length: AT_ONCE }, async () => {
        const sender = await runCurl(['-k', '--http1.1', '-T', path, `${url}/`])
        const [link = ''] = await sender.untilStdout(/^https\S+/)
        const receiver = await runCurl(['-fk', '--http1.1', '-o', '/dev/null', link])
        return `${(await receiver.ended()).code} ${(await sender.ended()).code}`
      })
      expect(await Promise.all(codes)).toEqual(Array(AT_ONCE).fill('0 0'))
    },
  )
})
