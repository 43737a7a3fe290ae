import { basename, join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { sha256OfFile, writeFileOf } from '../helpers/bytes.js'
import { readPage, tableOf } from '../helpers/markdown.js'
import { needs } from '../helpers/needs.js'
import {
  eventsOf,
  expectCutOff,
  expectDelivered,
  expectReceived,
  expectRefused,
  expectSenderFailed,
  type Receiver,
  type Source,
  sparseFile,
  startReceiver,
  startSender,
  TOOLS,
  untilReceiving,
} from '../helpers/peers.js'
import { type RunningProxy, startBehind } from '../helpers/proxies.js'
import type { Program } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { runEss } from '../helpers/run-ess.js'
import { startTcpProxy } from '../helpers/tcp-proxy.js'
import { within } from '../helpers/within.js'

const SIZE = 100_000_000
const TRANSFER_MS = 40_000
/** More than all the buffers on the way hold, so that a peer is killed midway wherever its bytes are. */
const ENDLESS = 900_000_000

/** One that takes its time, so that it is midway for as long as a test needs. */
function slowReceiver(tool: 'curl' | 'ess', url: string): Promise<Receiver> {
  return startReceiver(tool, url, tool === 'curl' ? ['--limit-rate', '20M'] : [])
}

async function expectFailure(program: Program): Promise<void> {
  const { code, signal } = await program.ended(TRANSFER_MS)
  const said = `${program.name} wrote ${program.stdout().slice(-2000)}\n${program.stderr()}`
  expect({ failed: code !== 0, signal }, said).toEqual({ failed: true, signal: null })
}

describe.each(['haproxy', 'caddy'] as const)('behind %s', (name) => {
  beforeEach((context) => needs(context, 'curl', name))

  test.each([
    { from: 'ess', to: 'ess', length: 'known' },
    { from: 'ess', to: 'curl', length: name === 'caddy' ? 'known' : 'unknown' },
    { from: 'curl', to: 'ess', length: 'unknown' },
    { from: 'curl', to: 'curl', length: 'known' },
  ] as const)('100 MB of $length length pass from $from to $to', async ({ from, to, length }) => {
    const proxy = await startBehind(name)
    const file = join(proxy.folder, 'file.bin')
    const hash = await writeFileOf(file, SIZE)
    const source: Source = length === 'known' ? { file } : { pipe: file }
    const sender = await startSender(from, proxy, source)
    expect(sender.url.startsWith(`${proxy.url}/`), sender.url).toBe(true)
    const receiver = await startReceiver(to, sender.url)
    await expectReceived(receiver, TRANSFER_MS)
    await expectDelivered(sender, SIZE, TRANSFER_MS)
    expect(await sha256OfFile(receiver.path)).toBe(hash)
  })

  test.each(TOOLS)('%s learns that its sender was killed midway', async (tool) => {
    const proxy = await startBehind(name)
    const sender = await startSender('curl', proxy, { file: await sparseFile(ENDLESS) })
    const receiver = await slowReceiver(tool, sender.url)
    await untilReceiving(receiver)
    sender.kill('SIGKILL')
    await expectFailure(receiver)
  })

  // By its exit status, that is: see below for curl's through Caddy.
  test.each(name === 'caddy' ? (['ess'] as const) : TOOLS)(
    '%s learns that its receiver was killed midway',
    async (tool) => {
      const proxy = await startBehind(name)
      const sender = await startSender(tool, proxy, { file: await sparseFile(ENDLESS) })
      const receiver = await slowReceiver('curl', sender.url)
      await untilReceiving(receiver)
      receiver.kill('SIGKILL')
      await expectFailure(sender)
    },
  )
})

// --proxy-hides-cuts is what its block says.
describe('behind caddy, which ends a broken response as if it were whole', () => {
  beforeEach((context) => needs(context, 'curl', 'caddy'))

  test('ess is not taken in by a cut download of unknown length', async () => {
    const proxy = await startBehind('caddy')
    const sender = await startSender('curl', proxy, { pipe: await sparseFile(ENDLESS) })
    const receiver = await slowReceiver('ess', sender.url)
    await untilReceiving(receiver)
    sender.kill('SIGKILL')
    await expectCutOff(receiver, TRANSFER_MS)
  })

  test('curl gets no download of unknown length, which it could not tell from a cut one', async () => {
    const proxy = await startBehind('caddy')
    const file = join(proxy.folder, 'file.bin')
    await writeFileOf(file, 1000)
    const sender = await startSender('ess', proxy, { pipe: file })
    await expectRefused(await startReceiver('curl', sender.url), 'length-unknown')
    // The link still works.
    await expectReceived(await startReceiver('ess', sender.url))
    await expectDelivered(sender, 1000)
  })

  test('curl gets no early response, and is told the two steps', async () => {
    const proxy = await startBehind('caddy')
    await expectTwoSteps(proxy)
  })

  test.each(['known', 'unknown'] as const)(
    '100 MB of %s length pass from curl that reserved',
    async (length) => {
      const proxy = await startBehind('caddy')
      const file = join(proxy.folder, 'file.bin')
      const hash = await writeFileOf(file, SIZE)
      const { url, upload } = await reserve(proxy, basename(file))
      const path = length === 'known' ? file : '-'
      const sender = await runCurl(['-fT', path, upload], length === 'known' ? {} : { stdin: { file } })
      const receiver = await startReceiver(length === 'known' ? 'curl' : 'ess', url)
      await expectReceived(receiver, TRANSFER_MS)
      expect((await sender.ended(TRANSFER_MS)).code).toBe(0)
      expect(await sha256OfFile(receiver.path)).toBe(hash)
    },
  )

  test('curl that reserved learns by its exit status that its receiver was killed midway', async () => {
    const proxy = await startBehind('caddy')
    const { url, upload } = await reserve(proxy, 'file.bin')
    const sender = await runCurl(['-fT', await sparseFile(ENDLESS), upload])
    const receiver = await slowReceiver('curl', url)
    await untilReceiving(receiver)
    receiver.kill('SIGKILL')
    await expectFailure(sender)
  })

  test('a program that asks for the events never reads "delivered" when its receiver was killed midway', async () => {
    const proxy = await startBehind('caddy')
    const sender = await startSender('curl', proxy, { file: await sparseFile(ENDLESS) })
    const receiver = await slowReceiver('curl', sender.url)
    await untilReceiving(receiver)
    receiver.kill('SIGKILL')
    const { stdout } = await sender.ended(TRANSFER_MS)
    // Caddy may lose the last line as well; that there is none is a failure too.
    expect(eventsOf(stdout)).toContainEqual({ event: 'connected' })
    expect(eventsOf(stdout).filter(({ event }) => event === 'delivered')).toEqual([])
  })
})

async function expectTwoSteps(proxy: RunningProxy): Promise<void> {
  const file = join(proxy.folder, 'file.bin')
  await writeFileOf(file, 1000)
  const refused = await (await runCurl(['--fail-with-body', '-T', file, `${proxy.url}/`])).ended()
  expect(refused.code).toBe(22)
  expect(refused.stdout.toString()).toContain(`curl -X POST ${proxy.url}/reserve`)
}

/** The documented recipe: reserve, then upload. */
async function reserve(proxy: RunningProxy, fileName: string): Promise<{ url: string; upload: string }> {
  const reserved = await runCurl(['-fX', 'POST', `${proxy.url}/reserve?filename=${fileName}`])
  const [url = '', upload = ''] = (await reserved.ended()).stdout.toString().split('\n')
  expect(url).toMatch(new RegExp(`^${proxy.url}/[\\w-]{12}/${fileName}$`))
  return { url, upload }
}

describe('behind nginx', () => {
  beforeEach((context) => needs(context, 'curl', 'nginx'))

  test.each([
    { length: 'known', to: 'ess' },
    { length: 'unknown', to: 'curl' },
  ] as const)('100 MB of $length length pass from curl to $to', async ({ length, to }) => {
    const proxy = await startBehind('nginx')
    const file = join(proxy.folder, 'file.bin')
    const hash = await writeFileOf(file, SIZE)
    const { url, upload } = await reserve(proxy, basename(file))
    const path = length === 'known' ? file : '-'
    const sender = await runCurl(['-fT', path, upload], length === 'known' ? {} : { stdin: { file } })
    const receiver = await startReceiver(to, url)
    await expectReceived(receiver, TRANSFER_MS)
    const sent = await sender.ended(TRANSFER_MS)
    expect(sent.stdout.toString()).toBe(`# delivered: ${SIZE} bytes\n`)
    expect(sent.code).toBe(0)
    expect(await sha256OfFile(receiver.path)).toBe(hash)
  })

  test.each([
    { length: 'known', to: 'curl' },
    { length: 'unknown', to: 'ess' },
  ] as const)('100 MB of $length length pass from ess to $to', async ({ length, to }) => {
    const proxy = await startBehind('nginx')
    const file = join(proxy.folder, 'file.bin')
    const hash = await writeFileOf(file, SIZE)
    const source = length === 'known' ? { file } : { pipe: file }
    const sender = await startSender('ess', proxy, source, ['--reserve'])
    const receiver = await startReceiver(to, sender.url)
    await expectReceived(receiver, TRANSFER_MS)
    await expectDelivered(sender, SIZE, TRANSFER_MS)
    expect(await sha256OfFile(receiver.path)).toBe(hash)
  })

  test.each([
    { length: 'known', buffering: 'off' },
    { length: 'known', buffering: 'on' },
    { length: 'unknown', buffering: 'off' },
  ] as const)(
    '30 MB of $length length go on after a cut midway, with request buffering $buffering',
    async ({ length, buffering }) => {
      const proxy = await startBehind('nginx', {
        more: ['--resume-within', '30'],
        lines: { 'proxy_request_buffering off': `proxy_request_buffering ${buffering}` },
      })
      const front = await startTcpProxy(Number(new URL(proxy.url).port))
      onTestFinished(() => front.close())
      const file = join(proxy.folder, 'file.bin')
      const hash = await writeFileOf(file, 30_000_000)
      const args = ['send', '--reserve', '--json', ...(length === 'known' ? [file] : [])]
      const stdin = length === 'known' ? {} : { stdin: { file } }
      const sender = await runEss(`http://127.0.0.1:${front.port}`, args, stdin)
      const [, id = ''] = await sender.untilStdout(/"id":"([^"]+)"/, TRANSFER_MS)
      const cut = front.arm({ kind: 'rst' }, 'up', 12_000_000)
      const receiver = await startReceiver('ess', `${proxy.url}/${id}`)
      await within(TRANSFER_MS, 'the cut', cut)
      await expectReceived(receiver, TRANSFER_MS)
      const { code, stdout, stderr } = await sender.ended(TRANSFER_MS)
      expect(code, stderr.toString()).toBe(0)
      expect(await sha256OfFile(receiver.path)).toBe(hash)
      const events = eventsOf(stdout)
      expect(events.map(({ event }) => event)).toEqual(expect.arrayContaining(['interrupted', 'resumed']))
      const resumed = events.find((event) => event.event === 'resumed')
      // The first piece had arrived, and isn't sent again.
      expect(resumed?.bytes).toBeGreaterThan(8_000_000)
    },
  )

  test('an upload without a reservation is refused, and told the two steps', async () => {
    await expectTwoSteps(await startBehind('nginx'))
  })

  test.each(TOOLS)('%s learns that its sender was killed midway', async (tool) => {
    const proxy = await startBehind('nginx')
    const { url, upload } = await reserve(proxy, 'file.bin')
    const sender = await runCurl(['-fT', await sparseFile(ENDLESS), upload])
    const receiver = await slowReceiver(tool, url)
    await untilReceiving(receiver)
    sender.kill('SIGKILL')
    await expectFailure(receiver)
  })

  test('curl learns that its receiver was killed midway', async () => {
    const proxy = await startBehind('nginx')
    const { url, upload } = await reserve(proxy, 'file.bin')
    const sender = await runCurl(['-fT', await sparseFile(ENDLESS), upload])
    const receiver = await slowReceiver('curl', url)
    await untilReceiving(receiver)
    receiver.kill('SIGKILL')
    await expectFailure(sender)
  })

  test('ess learns that its receiver was killed midway', async () => {
    const proxy = await startBehind('nginx')
    const sender = await runEss(proxy.url, ['send', '--reserve', await sparseFile(ENDLESS)])
    const [, url = ''] = await sender.untilStdout(/^(http\S+)\n/)
    const receiver = await slowReceiver('curl', url)
    await untilReceiving(receiver)
    receiver.kill('SIGKILL')
    await expectFailure(sender)
  })
})

// As the page has it, to the letter: with its TLS, its ports and its certificates.
describe.each([
  { name: 'caddy', curl: 'reserves' },
  { name: 'nginx', curl: 'reserves' },
  { name: 'haproxy', curl: 'sends' },
  { name: 'traefik', curl: 'sends' },
  { name: 'apache2', curl: 'reserves' },
] as const)('behind $name with TLS', ({ name, curl }) => {
  beforeEach((context) => needs(context, 'curl', 'openssl', name))

  /** What curl prints goes to the test alone: behind these it either has the link before, or at once. */
  async function curlSends(
    proxy: RunningProxy,
    source: { readonly file: string } | { readonly pipe: string },
  ): Promise<{ readonly sender: Program; readonly url: string }> {
    if (curl === 'sends') {
      const sender = await startSender('curl', proxy, source)
      return { sender, url: sender.url }
    }
    const { url, upload } = await reserve(proxy, 'file.bin')
    const args = ['-fT', 'file' in source ? source.file : '-', upload]
    return { sender: await runCurl(args, 'file' in source ? {} : { stdin: { file: source.pipe } }), url }
  }

  // Caddy 2.6 keeps downloads of unknown length from curl.
  test.each([
    { from: 'curl', length: 'known', to: 'ess' },
    { from: 'curl', length: 'unknown', to: name === 'caddy' ? 'ess' : 'curl' },
    { from: 'ess', length: 'known', to: 'curl' },
    { from: 'ess', length: 'unknown', to: 'ess' },
  ] as const)('30 MB of $length length pass from $from to $to', async ({ from, length, to }) => {
    const proxy = await startBehind(name, { tls: true })
    const file = join(proxy.folder, 'file.bin')
    const hash = await writeFileOf(file, 30_000_000)
    const source = length === 'known' ? { file } : { pipe: file }
    const { sender, url } = from === 'curl' ? await curlSends(proxy, source) : await essSends(proxy, source)
    expect(url.startsWith(`${proxy.url}/`), url).toBe(true)
    const receiver = await startReceiver(to, url)
    await expectReceived(receiver, TRANSFER_MS)
    expect((await sender.ended(TRANSFER_MS)).code, sender.stderr()).toBe(0)
    expect(await sha256OfFile(receiver.path)).toBe(hash)
  })

  test.each([
    { tool: 'curl', length: name === 'caddy' ? 'known' : 'unknown' },
    { tool: 'ess', length: 'unknown' },
  ] as const)('$tool learns that its sender was killed midway', async ({ tool, length }) => {
    const proxy = await startBehind(name, { tls: true })
    const endless = await sparseFile(ENDLESS)
    const { sender, url } = await curlSends(proxy, length === 'known' ? { file: endless } : { pipe: endless })
    const receiver = await slowReceiver(tool, url)
    await untilReceiving(receiver)
    sender.kill('SIGKILL')
    await expectFailure(receiver)
  })

  test.each(TOOLS)('%s learns that its receiver was killed midway', async (tool) => {
    const proxy = await startBehind(name, { tls: true })
    const source = { file: await sparseFile(ENDLESS) }
    const { sender, url } = tool === 'curl' ? await curlSends(proxy, source) : await essSends(proxy, source)
    const receiver = await slowReceiver('curl', url)
    await untilReceiving(receiver)
    receiver.kill('SIGKILL')
    await expectFailure(sender)
  })
})

async function essSends(proxy: RunningProxy, source: Source): Promise<{ sender: Program; url: string }> {
  const sender = await startSender('ess', proxy, source)
  return { sender, url: sender.url }
}

describe.each(['caddy', 'traefik'] as const)('behind %s with TLS', (name) => {
  beforeEach((context) => needs(context, 'curl', 'openssl', name))

  test('curl gets HTTP/1.1 alone, in which an upload of unknown length says Expect', async () => {
    const proxy = await startBehind(name, { tls: true, flags: ['--trust-proxy', '127.0.0.1'] })
    const curl = await runCurl(['-o', '/dev/null', '-w', '%{http_version}', '--http2', `${proxy.url}/health`])
    expect((await curl.ended()).stdout.toString()).toBe('1.1')
  })
})

// The lines of docs/public.md, in the place that it says.
describe.each([
  { name: 'nginx', row: 0, place: '  access_log off;' },
  { name: 'haproxy', row: 1, place: '  default_backend ess_server' },
  { name: 'caddy', row: 2, place: '\treverse_proxy' },
  { name: 'traefik', row: 3, place: 'Host(`send.example.org`)' },
  { name: 'apache2', row: 4, place: '  ProxyPreserveHost On' },
] as const)('an address that $name bans', ({ name, row, place }) => {
  beforeEach((context) => needs(context, 'curl', name))

  test('gets nothing, and the others everything', async () => {
    const { rows } = tableOf(await readPage('docs/public.md'), 'in')
    const [where = '', cell = ''] = rows[row] ?? []
    expect(where.toLowerCase().startsWith(name.replace('2', '')), where).toBe(true)
    const spans = [...cell.matchAll(/``(.+?)``|`([^`]+)`/g)].map(([, double, single]) => double ?? single)
    const written = spans.join('\n').replace('192.0.2.7', '127.0.0.2')
    const proxy = await startBehind(name, {
      lines: { [place]: name === 'traefik' ? written : `${written}\n${place}` },
    })
    const statusFrom = async (address: string) => {
      const args = ['--interface', address, '-o', '/dev/null', '-w', '%{http_code}', `${proxy.url}/health`]
      return (await (await runCurl(args)).ended()).stdout.toString()
    }
    expect(await statusFrom('127.0.0.2')).not.toBe('200')
    expect(await statusFrom('127.0.0.3')).toBe('200')
  })
})

// Not as documented: what a sender sees where the operator has forgotten something.
describe('behind apache2, which was not told of', () => {
  beforeEach((context) => needs(context, 'curl', 'apache2'))

  test('bodies that wait fails visibly', async () => {
    const proxy = await startBehind('apache2', { lines: { 'body=0': 'body=1,MinRate=500' } })
    const program = await runEss(proxy.url, ['send', await sparseFile(1000)])
    const { code, stderr } = await program.ended(TRANSFER_MS)
    expect(code, stderr).not.toBe(0)
    // By apache's own answer, or, if ours has begun before its time is over, by that.
    expect(stderr).toMatch(/408|\[sender-lost\]/)
  })
})

describe('behind traefik, which was not told of', () => {
  beforeEach((context) => needs(context, 'curl', 'traefik'))

  test('long uploads cuts them off', async () => {
    const proxy = await startBehind('traefik', { lines: { 'readTimeout: 0s': 'readTimeout: 2s' } })
    const sender = await startSender('ess', proxy, { file: await sparseFile(1000) })
    await expectFailure(sender)
  })
})

describe('behind nginx, which was not told of', () => {
  beforeEach((context) => needs(context, 'curl', 'nginx'))

  test('an early response whose body is held back midway fails on both sides', async () => {
    const proxy = await startBehind('nginx', { flags: ['--stall-timeout', '2'] })
    const sender = await startSender('ess', proxy, { file: await sparseFile(ENDLESS) })
    const receiver = await startReceiver('ess', sender.url)
    await expectSenderFailed(sender, 'stalled', TRANSFER_MS)
    await expectCutOff(receiver, TRANSFER_MS)
  })

  const BUFFERED = { 'proxy_request_buffering off': 'proxy_request_buffering on' }

  test('ess reserves by itself when the body is wanted before any answer', async () => {
    const proxy = await startBehind('nginx', { flags: ['--reservations'], lines: BUFFERED })
    const file = join(proxy.folder, 'file.bin')
    const hash = await writeFileOf(file, SIZE)
    const program = await runEss(proxy.url, ['send', file])
    const [, url = ''] = await program.untilStdout(/^(http\S+)\n/, TRANSFER_MS)
    const receiver = await startReceiver('curl', url)
    await expectReceived(receiver, TRANSFER_MS)
    expect((await program.ended(TRANSFER_MS)).code).toBe(0)
    expect(await sha256OfFile(receiver.path)).toBe(hash)
  })

  test('ess gives up when there is no reservation either', async () => {
    const proxy = await startBehind('nginx', { flags: [], lines: BUFFERED })
    const program = await runEss(proxy.url, ['send', await sparseFile(ENDLESS)])
    const { code, stderr } = await program.ended(TRANSFER_MS)
    expect({ code, stderr }).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/wait for the whole upload first/),
    })
  })
})
