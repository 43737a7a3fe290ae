import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { startBalancer } from '../helpers/balancer.js'
import { bytesOf, sha256OfFile } from '../helpers/bytes.js'
import { trustedCertificate } from '../helpers/certificate.js'
import { freePort } from '../helpers/free-port.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import {
  connectReceiver,
  expectDelivered,
  expectReceived,
  startReceiver,
  startSender,
  untilReceiving,
  verdictOf,
} from '../helpers/peers.js'
import { type ProxyName, startBehind } from '../helpers/proxies.js'
import { type RestartedServer, restartedServer } from '../helpers/restarted-server.js'
import type { Program } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { runEss } from '../helpers/run-ess.js'
import { startServer } from '../helpers/start-server.js'
import { startTcpProxy } from '../helpers/tcp-proxy.js'
import { tempDir } from '../helpers/temp-dir.js'
import { until } from '../helpers/within.js'

beforeEach((context) => needs(context, 'curl'))

/** What a script reads when the second try has failed too. */
const TRYING = /^ess: The server is away, trying again\. \d+ s left\.\n$/

const BYTES = 300_000

/** A folder with one file of these bytes in it. */
async function folderOf(bytes: Uint8Array): Promise<string> {
  const folder = join(await tempDir(), 'folder')
  await mkdir(folder)
  await writeFile(join(folder, 'file'), bytes)
  return folder
}

/** A new sender, when it has met a server that is away. */
async function turnedAway(url: string, args: readonly string[], stdin?: Uint8Array): Promise<Program> {
  const sender = await runEss(url, ['send', '--json', ...args], stdin === undefined ? {} : { stdin })
  await sender.untilStderr(TRYING)
  expect(sender.stdout()).toBe('')
  return sender
}

/** It has its link now, and its receiver gets what it sends. */
async function expectSent(sender: Program, path = ''): Promise<string> {
  const [, link = ''] = await sender.untilStdout(/^\{"event":"opened".*"url":"([^"]+)".*\}\n/)
  const receiver = await startReceiver('ess', link)
  await expectReceived(receiver)
  const { code, stdout } = await sender.ended()
  expect([code, verdictOf(stdout)]).toMatchObject([0, { event: 'delivered', confirmed: true }])
  return await sha256OfFile(join(receiver.path, path))
}

/** A server of these flags that has not started yet, at a port of its own. */
async function serverAway(...flags: readonly string[]) {
  const port = await freePort()
  return { port, server: restartedServer('ess-server', port, ...flags) }
}

async function stop(server: RestartedServer): Promise<void> {
  server.signal('SIGTERM')
  expect((await server.ended()).code).toBe(0)
}

describe('a server that stops while a transfer runs', () => {
  const bytes = bytesOf(BYTES)
  const FORMS: Readonly<
    Record<string, () => Promise<readonly [args: readonly string[], path?: string, stdin?: Uint8Array]>>
  > = {
    'a file': async () => [[join(await folderOf(bytes), 'file')]],
    'a file that reserves': async () => [['--reserve', join(await folderOf(bytes), 'file')]],
    'an encrypted pipe': async () => [['-e'], '', bytes],
    'a folder': async () => [[await folderOf(bytes)], 'file'],
  }

  test.each(Object.entries(FORMS))(
    'has a new sender of %s wait for the one after it',
    async (_what, form) => {
      const { port, server } = await serverAway('--drain', '60', '--reservations')
      const url = `http://127.0.0.1:${port}`
      await server.start()
      const running = await startSender('curl', { url }, 'held')
      const receiver = await connectReceiver('curl', running)
      running.stdin.write(bytes)
      await untilReceiving(receiver)
      server.signal('SIGTERM')
      const isStopping = async () => (await exchange(port, requestHead('GET /health'))).status === 503
      await until('the server says that it stops', isStopping)
      const [args, path, stdin] = await form()
      const sender = await turnedAway(url, args, stdin)
      running.stdin.end()
      await expectReceived(receiver)
      await expectDelivered(running, BYTES)
      expect((await server.ended()).code).toBe(0)
      await server.start()
      const hash = await expectSent(sender, path)
      expect(hash).toBe(await sha256OfFile(join(await folderOf(bytes), 'file')))
    },
  )

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('lets %s end a new sender at once', async (signal, status) => {
    const server = await startServer('--drain', '60')
    const running = await startSender('curl', server, 'held')
    const receiver = await connectReceiver('curl', running)
    running.stdin.write(bytes)
    await untilReceiving(receiver)
    server.signal('SIGTERM')
    const sender = await turnedAway(server.url, [join(await folderOf(bytes), 'file')])
    sender.kill(signal)
    const { code, stdout } = await sender.ended()
    expect([code, verdictOf(stdout)]).toMatchObject([status, { event: 'failed' }])
  })
})

describe.each(['haproxy', 'caddy', 'nginx', 'apache2', 'traefik'] as const)(
  'behind %s',
  (name: ProxyName) => {
    beforeEach((context) => needs(context, name))

    test('a new sender waits for a server that is restarted', async () => {
      const bytes = bytesOf(BYTES)
      let server: RestartedServer | undefined
      const { url } = await startBehind(name, {
        async start(...flags) {
          const { port, server: own } = await serverAway(...flags)
          await own.start()
          server = own
          return { port }
        },
      })
      if (server === undefined) throw new Error('Expected a server')
      await stop(server)
      const file = join(await folderOf(bytes), 'file')
      const sender = await turnedAway(url, [file])
      await server.start()
      expect(await expectSent(sender)).toBe(await sha256OfFile(file))
    })

    test('a new receiver waits for a server that cannot be reached for a while', async () => {
      const bytes = bytesOf(BYTES)
      const file = join(await folderOf(bytes), 'file')
      const server = await startServer('--reservations')
      const way = await startTcpProxy(server.port)
      const { url } = await startBehind(name, { start: async () => way })
      const sender = await startSender('ess', server, { file })
      await way.close()
      const link = sender.url.replace(server.url, url)
      const receiver = await startReceiver('ess', link)
      await receiver.untilStderr(TRYING)
      const again = await startTcpProxy(server.port, way.port)
      onTestFinished(() => again.close())
      await expectReceived(receiver)
      expect(await sha256OfFile(receiver.path)).toBe(await sha256OfFile(file))
      await expectDelivered(sender, BYTES)
    })
  },
)

test('behind a balancer that passes TLS on, a new sender waits too', async (context) => {
  needs(context, 'haproxy', 'openssl')
  const { path, keyPath } = await trustedCertificate()
  const { port, server } = await serverAway('--tls-cert', path, '--tls-key', keyPath)
  const balancer = await startBalancer([port])
  const file = join(await folderOf(bytesOf(BYTES)), 'file')
  const sender = await turnedAway(`https://localhost:${balancer.port}`, [file])
  await server.start()
  expect(await expectSent(sender)).toBe(await sha256OfFile(file))
})

test('behind caddy, a new curl that may ask again does so, and sends its file once', async (context) => {
  needs(context, 'caddy')
  const bytes = bytesOf(BYTES)
  let server: RestartedServer | undefined
  const { url } = await startBehind('caddy', {
    async start(...flags) {
      const { port, server: own } = await serverAway(...flags)
      await own.start()
      server = own
      return { port }
    },
  })
  if (server === undefined) throw new Error('Expected a server')
  await stop(server)
  const file = join(await folderOf(bytes), 'file')
  const json = ['-H', 'Accept: application/x-ndjson']
  const sender = await runCurl(['-f', '--retry', '9', ...json, '-T', file, `${url}/`])
  await sender.untilStderr(/error: 502/)
  await server.start()
  expect(await expectSent(sender)).toBe(await sha256OfFile(file))
})
