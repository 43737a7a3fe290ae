import { basename, join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { sha256OfFile, writeFileOf } from '../helpers/bytes.js'
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

// Not as documented: what a sender sees where the operator has forgotten something.
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
    expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringMatching(/wants the body first/) })
  })
})
