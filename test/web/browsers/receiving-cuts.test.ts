import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { EXIT_STATUS } from '../../../shared/index.js'
import { COMMON } from '../../../shared/page-words.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { pickedFiles } from '../../helpers/picked-files.js'
import { openInChromium, openInFirefox, type ReceivePage } from '../../helpers/receive-page.js'
import type { Program } from '../../helpers/run.js'
import { runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy, type TcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { within } from '../../helpers/within.js'

beforeEach((context) => needs(context, 'chromium', 'firefox-esr'))

const SIZE = 30_000_017
/** Slow enough to be met midway. */
const SLOW: Parameters<TcpProxy['strike']>[0] = { kind: 'throttle', bytesPerSecond: 4_000_000 }
const LONG_MS = 60_000
/** The sender is told at once, and not when the time to come back is over. */
const SOON_MS = 5_000
const NAME = 'report.bin'
const LINK = /https?:\/\/\S+/

interface Sent {
  readonly sender: Program
  /** Through the proxy. */
  readonly link: string
  readonly proxy: TcpProxy
  readonly hash: string
}

/** A sealed file, on a server that waits a minute for a side that is away. Only its receivers use the proxy. */
async function sendSealed(size = SIZE): Promise<Sent> {
  const server = await startServerHere('--resume-within', '60')
  const proxy = await startTcpProxy(server.port)
  onTestFinished(() => proxy.close())
  const path = join(await tempDir(), NAME)
  const hash = await writeFileOf(path, size)
  const sender = await runEss(server.url, ['send', '--encrypt', path])
  const [url = ''] = await sender.untilStdout(LINK)
  const link = new URL(url)
  link.port = String(proxy.port)
  return { sender, link: link.href, proxy, hash }
}

/** A browser's way to save, and what is left of it. */
interface Opened extends ReceivePage {
  /** The hash of the file, once the page says that it is whole. */
  whole(): Promise<string | undefined>
  /** Checks that nothing is left that looks like the file. */
  nothing(): Promise<void>
}

async function toDisk(link: string): Promise<Opened> {
  const page = await openInChromium(link, 'pickers')
  return {
    ...page,
    async whole() {
      await page.untilShows(RECEIVING.savedToDisk(NAME), LONG_MS)
      return (await pickedFiles(page.page))[NAME]
    },
    nothing: async () => expect(await pickedFiles(page.page)).toEqual({}),
  }
}

/** The browser gets the file when it is whole, and a download no earlier. */
function handedOver(page: ReceivePage): Opened {
  return {
    ...page,
    async whole() {
      await page.untilShows(RECEIVING.savedToDownloads, LONG_MS)
      const { isWhole, path = '' } = await page.download(LONG_MS)
      expect(isWhole).toBe(true)
      return await sha256OfFile(path)
    },
    async nothing() {
      expect(await page.downloadCount()).toBe(0)
      expect(await page.stored()).toEqual([])
    },
  }
}

/** Over plain HTTP to another machine, a page has neither pickers nor storage. */
const fromAfar = (link: string) => link.replace('127.0.0.1', 'send.test')

const WAYS = [
  ['Chromium, to the disk', toDisk],
  ['Chromium, by its storage', async (link: string) => handedOver(await openInChromium(link))],
  ['Firefox, by its storage', async (link: string) => handedOver(await openInFirefox(link))],
  ['Chromium, in memory', async (link: string) => handedOver(await openInChromium(fromAfar(link)))],
  ['Firefox, in memory', async (link: string) => handedOver(await openInFirefox(fromAfar(link)))],
] as const

describe.each(WAYS)('%s', (_name, open) => {
  test.each(['rst', 'fin'] as const)('goes on when its connection is cut midway, twice: %s', async (kind) => {
    const { sender, link, proxy, hash } = await sendSealed()
    const page = await open(link)
    const first = proxy.arm({ kind }, 'down', 12_000_000)
    await page.press(RECEIVING.save)
    await within(LONG_MS, 'the first cut', first)
    await within(LONG_MS, 'the second cut', proxy.arm({ kind }, 'down', 6_000_000))
    expect(await page.whole()).toBe(hash)
    expect((await sender.ended()).code).toBe(0)
  })

  // The browser's network takes the last byte long before the page has opened the chunk that it ends.
  test.each([
    ['midway', 12_000_000],
    ['in the last chunk', SIZE - 1000],
  ])('a byte that was changed %s is found, and told, and leaves nothing', async (_where, at) => {
    const { sender, link, proxy } = await sendSealed()
    const page = await open(link)
    await page.untilShows(NAME)
    const change = proxy.arm({ kind: 'flip' }, 'down', at)
    await page.press(RECEIVING.save)
    await within(LONG_MS, 'the change', change)
    await page.untilShows(RECEIVING.changed)
    await page.nothing()
    const { code, stdout } = await sender.ended(SOON_MS)
    expect(String(stdout)).not.toContain('delivered')
    expect(code).toBe(EXIT_STATUS.broken)
  })

  test('a sender that stops is told, and leaves nothing that looks like the file', async () => {
    const { sender, link, proxy } = await sendSealed()
    await proxy.strike(SLOW)
    const page = await open(link)
    await page.press(RECEIVING.save)
    await page.untilShows(/MB of 30\.0 MB/)
    sender.kill('SIGINT')
    await page.untilShows(
      /It broke off after [\d.]+ MB of 30\.0 MB\. .*Nothing was kept\. Ask the sender to send it again/s,
    )
    await page.nothing()
  })

  test('its sender knows within seconds that the person has cancelled', async () => {
    const { sender, link, proxy } = await sendSealed()
    await proxy.strike(SLOW)
    const page = await open(link)
    await page.press(RECEIVING.save)
    await page.untilShows(/MB of 30\.0 MB/)
    await page.press(COMMON.cancel)
    await page.untilShows(RECEIVING.stopped)
    expect((await sender.ended(SOON_MS)).code).toBe(EXIT_STATUS.broken)
    await page.nothing()
  })

  test('its sender knows within seconds that the tab was closed', async () => {
    const { sender, link, proxy } = await sendSealed()
    await proxy.strike(SLOW)
    const page = await open(link)
    await page.press(RECEIVING.save)
    await page.untilShows(/MB of 30\.0 MB/)
    await page.leave()
    expect((await sender.ended(SOON_MS)).code).toBe(EXIT_STATUS.broken)
  })
})

/** Firefox ends scripts that work for a page 30 s after their last event. */
const LONGER_MS = 75_000

test('Firefox saves what comes slowly, for longer than a minute', { timeout: 4 * LONGER_MS }, async () => {
  const { sender, link, proxy, hash } = await sendSealed()
  const page = handedOver(await openInFirefox(link))
  await page.untilShows(NAME)
  await proxy.strike({ kind: 'throttle', bytesPerSecond: SIZE / (LONGER_MS / 1000) })
  const begun = performance.now()
  await page.press(RECEIVING.save)
  await page.untilShows(RECEIVING.savedToDownloads, 3 * LONGER_MS)
  expect(performance.now() - begun).toBeGreaterThan(60_000)
  expect(await page.whole()).toBe(hash)
  expect((await sender.ended()).code).toBe(0)
})

/** A laptop's lid is closed for that long. */
const ASLEEP_MS = 45_000

test('Firefox sleeps midway, and has the whole file in the end', { timeout: 4 * ASLEEP_MS }, async () => {
  const { sender, link, proxy, hash } = await sendSealed()
  await proxy.strike(SLOW)
  const page = await openInFirefox(link)
  await page.press(RECEIVING.save)
  await page.untilShows(/MB of 30\.0 MB/)
  await page.firefox.asleep(() => delay(ASLEEP_MS))
  expect(await page.downloadCount()).toBe(0)
  expect(await handedOver(page).whole()).toBe(hash)
  expect((await sender.ended()).code).toBe(0)
})
