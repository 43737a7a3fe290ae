import { join } from 'node:path'
import type { BrowserContext } from 'playwright-core'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { bytesOf, sha256, sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { startChromium } from '../../helpers/chromium.js'
import { withFirstNode } from '../../helpers/killed-node.js'
import { needs } from '../../helpers/needs.js'
import { NOTICED_MS } from '../../helpers/page-moves.js'
import { type Sender, startSender, verdictOf } from '../../helpers/peers.js'
import { pickedFiles } from '../../helpers/picked-files.js'
import { openInFirefox, openInTab, type Saving } from '../../helpers/receive-page.js'
import { needsRedis } from '../../helpers/redis.js'
import type { RollingCluster } from '../../helpers/rolling-cluster.js'
import { startTcpProxy, type TcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

// `ess` sends, and a page receives, while the node of their transfer stops or is killed.

beforeEach((context) => {
  needs(context, 'chromium', 'haproxy')
  needsRedis(context)
})

const SIZE = 40_000_017
const NAME = 'report.bin'
const LONG_MS = 2 * NOTICED_MS

/** No more than the sender keeps of a pipe: its receiver may lack all that the buffers between the two hold. */
const PIPED = bytesOf(12_000_000)
const PIPED_FIRST = 8_000_000

interface Sent {
  readonly sender: Sender
  readonly hash: string
  /** Writes the rest of a pipe. */
  readonly end: () => void
}

async function send(
  cluster: RollingCluster,
  what: 'file' | 'pipe',
  ...args: readonly string[]
): Promise<Sent> {
  if (what === 'pipe') {
    const sender = await startSender('ess', cluster, 'held', args)
    sender.stdin.write(PIPED.subarray(0, PIPED_FIRST))
    return { sender, hash: sha256(PIPED), end: () => sender.stdin.end(PIPED.subarray(PIPED_FIRST)) }
  }
  const path = join(await tempDir(), NAME)
  const hash = await writeFileOf(path, SIZE)
  return { sender: await startSender('ess', cluster, { file: path }, args), hash, end: () => {} }
}

/** Its link by a way that is slow enough to be met midway. */
async function slowly({ sender }: Sent, { port }: RollingCluster) {
  const proxy = await startTcpProxy(port)
  onTestFinished(() => proxy.close())
  await proxy.strike({ kind: 'throttle', bytesPerSecond: 500_000 })
  return { proxy, link: sender.url.replace(`:${port}/`, `:${proxy.port}/`) }
}

async function hurry(...proxies: readonly TcpProxy[]): Promise<void> {
  for (const proxy of proxies)
    await proxy.strike({ kind: 'throttle', bytesPerSecond: Number.POSITIVE_INFINITY })
}

/** Opens what is sealed, and saves it. Resolves midway, with what gives the hash of the whole. */
async function save(browser: BrowserContext, link: string, saving: Saving) {
  const page = await openInTab(browser, link, saving)
  await page.press(RECEIVING.save)
  await page.untilShows(/\d\.\d MB/)
  return {
    page,
    whole: async () => {
      if (saving === 'pickers') {
        await page.untilShows(/^Saved as /m, LONG_MS)
        // Other pages save beside it.
        const shown = await page.text()
        const saved = Object.entries(await pickedFiles(page.page))
        return saved.find(([name]) => shown.includes(RECEIVING.savedToDisk(name)))?.[1]
      }
      await page.untilShows(RECEIVING.savedToDownloads, LONG_MS)
      const { isWhole, path = '' } = await page.download(LONG_MS)
      expect(isWhole).toBe(true)
      return await sha256OfFile(path)
    },
  }
}

async function expectTold({ sender }: Sent): Promise<void> {
  const { code, stdout, stderr } = await sender.ended(LONG_MS)
  expect({ code, stderr }).toMatchObject({ code: 0 })
  expect(verdictOf(stdout)).toMatchObject({ event: 'delivered', confirmed: true })
}

test.for(['SIGTERM', 'SIGKILL'] as const)(
  'a page that receives outlives the node: %s',
  {
    timeout: 2 * LONG_MS,
  },
  async (signal) => {
    const browser = await startChromium()
    const { cluster, first, opened } = await withFirstNode(async (cluster) => [
      { sent: await send(cluster, 'file', '-e'), saving: 'pickers' as const },
      { sent: await send(cluster, 'pipe', '-e'), saving: 'no pickers' as const },
      { sent: await send(cluster, 'file', '-e', '--reserve'), saving: 'memory alone' as const },
    ])
    const receiving = []
    for (const { sent, saving } of opened) {
      const { proxy, link } = await slowly(sent, cluster)
      receiving.push({ sent, proxy, ...(await save(browser, link, saving)) })
    }
    first.signal(signal)
    await first.ended(NOTICED_MS)
    // They were moved, and did not have the time of the drain.
    if (signal === 'SIGTERM') expect(first.stderr().match(/"outcome":"moved"/g)).toHaveLength(opened.length)
    await hurry(...receiving.map(({ proxy }) => proxy))
    for (const { sent, whole } of receiving) {
      sent.end()
      expect(await whole()).toBe(sent.hash)
      await expectTold(sent)
    }
  },
)

test('a page that has everything says so to the node at which its sender is by then', {
  timeout: 2 * LONG_MS,
}, async () => {
  const browser = await startChromium()
  const { first, opened } = await withFirstNode(async (cluster) => [
    await send(cluster, 'file', '-e'),
    await send(cluster, 'pipe', '-e'),
  ])
  let letThrough = () => {}
  const isKilled = new Promise<void>((resolve) => (letThrough = resolve))
  let words = 0
  await browser.route(
    () => true,
    async (route) => {
      if (route.request().method() === 'DELETE') {
        words++
        await isKilled
      }
      await route.continue()
    },
  )
  for (const { sender, hash, end } of opened) {
    end()
    const { whole } = await save(browser, sender.url, 'pickers')
    expect(await whole()).toBe(hash)
  }
  await until('both have told', () => words === opened.length)
  first.signal('SIGKILL')
  await first.ended(NOTICED_MS)
  letThrough()
  for (const sent of opened) await expectTold(sent)
})

test('a browser that downloads by itself has the time of the drain', { timeout: LONG_MS }, async () => {
  const browser = await startChromium()
  const { cluster, first, opened } = await withFirstNode(
    (cluster) => send(cluster, 'file', '--no-encrypt'),
    '--drain',
    '100',
  )
  const { proxy, link } = await slowly(opened, cluster)
  const page = await openInTab(browser, link, 'no pickers')
  await page.press('Download')
  await opened.sender.untilStdout(/"progress","bytes":[1-9]/)
  first.signal('SIGTERM')
  await hurry(proxy)
  const { isWhole, path = '' } = await page.download(LONG_MS)
  expect(isWhole).toBe(true)
  expect(await sha256OfFile(path)).toBe(opened.hash)
  await expectTold(opened)
  expect((await first.ended(NOTICED_MS)).code).toBe(0)
})

test('a browser that downloads by itself is cut off when the node is killed, and keeps nothing that looks whole', {
  timeout: LONG_MS,
}, async () => {
  const browser = await startChromium()
  const { cluster, first, opened } = await withFirstNode((cluster) => send(cluster, 'file', '--no-encrypt'))
  const { proxy, link } = await slowly(opened, cluster)
  const page = await openInTab(browser, link, 'no pickers')
  await page.press('Download')
  await opened.sender.untilStdout(/"progress","bytes":[1-9]/)
  first.signal('SIGKILL')
  await hurry(proxy)
  expect(await page.download(LONG_MS)).toEqual({ isWhole: false, path: undefined })
})

test('a page that receives in Firefox outlives the node', { timeout: 2 * LONG_MS }, async (context) => {
  needs(context, 'firefox-esr')
  const { cluster, first, opened } = await withFirstNode((cluster) => send(cluster, 'file', '-e'))
  const { proxy, link } = await slowly(opened, cluster)
  const page = await openInFirefox(link)
  await page.press(RECEIVING.save)
  await page.untilShows(/\d\.\d MB of/)
  first.signal('SIGTERM')
  expect((await first.ended(NOTICED_MS)).code).toBe(0)
  await hurry(proxy)
  await page.untilShows(RECEIVING.savedToDownloads, LONG_MS)
  const { isWhole, path = '' } = await page.download(LONG_MS)
  expect(isWhole).toBe(true)
  expect(await sha256OfFile(path)).toBe(opened.hash)
  await expectTold(opened)
})
