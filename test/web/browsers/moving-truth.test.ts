import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { SENDING } from '../../../shared/page-words-sending.js'
import { sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { startChromium } from '../../helpers/chromium.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { withFirstNode } from '../../helpers/killed-node.js'
import { needs } from '../../helpers/needs.js'
import { beginPages, expectDelivered, NOTICED_MS, openPages } from '../../helpers/page-moves.js'
import { at, newFile, proxyTo } from '../../helpers/page-offers.js'
import { needsRedis } from '../../helpers/redis.js'
import { rollingCluster } from '../../helpers/rolling-cluster.js'
import { runCurl } from '../../helpers/run-curl.js'
import { runEss } from '../../helpers/run-ess.js'
import { openInChromium } from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy, type TcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until, within } from '../../helpers/within.js'

// What a page says in the end, where its node stopped or was killed.

beforeEach((context) => {
  needs(context, 'chromium', 'haproxy', 'curl')
  needsRedis(context)
})

const LONG_MS = 2 * NOTICED_MS
const SLOW: Parameters<TcpProxy['strike']>[0] = { kind: 'throttle', bytesPerSecond: 1_000_000 }
const FAST: Parameters<TcpProxy['strike']>[0] = {
  kind: 'throttle',
  bytesPerSecond: Number.POSITIVE_INFINITY,
}

/** A page that sends a plain file to curl, which has some of it. */
async function toCurl(...flags: readonly string[]) {
  const path = join(await tempDir(), 'report.bin')
  const hash = await writeFileOf(path, 40_000_017)
  const { cluster, first, opened } = await withFirstNode(
    async ({ url }) => {
      const page = await openInChromium(url)
      await page.chooseFiles([path])
      await page.unseal()
      await page.press(SENDING.send)
      return { page, link: await page.link() }
    },
    ...flags,
  )
  const { page, link } = opened
  const proxy = await startTcpProxy(cluster.port)
  onTestFinished(() => proxy.close())
  await proxy.strike(SLOW)
  const target = link.replace(`:${cluster.port}/`, `:${proxy.port}/`)
  const folder = await tempDir()
  const curl = await runCurl(['-fo', 'got', target], { cwd: folder })
  await page.untilShows(/MB of 40\.0 MB/)
  return { first, page, proxy, target, folder, got: join(folder, 'got'), curl, hash }
}

test('a transfer to curl has the time of the drain', { timeout: LONG_MS }, async () => {
  const { first, page, proxy, got, curl, hash } = await toCurl('--drain', '100')
  first.signal('SIGTERM')
  await until('it stops', () => /stopping/.test(first.stderr()))
  await proxy.strike(FAST)
  expect((await curl.ended(LONG_MS)).code).toBe(0)
  expect(await sha256OfFile(got)).toBe(hash)
  await page.untilShows(/^Delivered$/m)
  expect((await first.ended(NOTICED_MS)).code).toBe(0)
})

test('curl goes on by hand where the page is when the drain is over', { timeout: LONG_MS }, async () => {
  const { first, page, proxy, target, folder, got, curl, hash } = await toCurl('--drain', '1')
  first.signal('SIGTERM')
  // Cut off, and it says so.
  expect([18, 56]).toContain((await curl.ended(LONG_MS)).code)
  await proxy.strike(FAST)
  const again = await runCurl(['-fC', '-', '-o', 'got', target], { cwd: folder })
  expect((await again.ended(LONG_MS)).code).toBe(0)
  expect(await sha256OfFile(got)).toBe(hash)
  await page.untilShows(/^Delivered$/m)
})

test('a page is told that the receiver did not come back', { timeout: LONG_MS }, async () => {
  const { first, page, curl } = await toCurl('--resume-within', '5')
  first.signal('SIGKILL')
  expect((await curl.ended(LONG_MS)).code).not.toBe(0)
  await page.untilShows(/The other side has lost its connection/, LONG_MS)
  await page.untilShows(/^Not delivered$[\s\S]*receiver/m, LONG_MS)
})

test('a page that missed its verdict together with its node says that it does not know', {
  timeout: LONG_MS,
}, async () => {
  const { cluster, first, opened } = await withFirstNode(async ({ port }) => {
    const proxy = await proxyTo(port)
    const page = await openInChromium(at(proxy))
    await page.type('Hello')
    await page.unseal()
    await page.press(SENDING.send)
    return { proxy, page, link: await page.link() }
  })
  const { proxy, page, link } = opened
  // The page reads no more answers.
  proxy.hold('down', 0)
  const ess = await runEss(undefined, ['get', link.replace(`:${proxy.port}/`, `:${cluster.port}/`)])
  expect((await ess.ended()).code).toBe(0)
  await until('its node has the verdict', () => first.stderr().includes('"outcome":"delivered"'))
  // The others are told after that, and by the time that each has answered twice they know.
  for (let asked = 0; asked < 2 * cluster.nodes.length; asked++)
    expect((await exchange(cluster.port, requestHead(`HEAD ${new URL(link).pathname}`))).status).toBe(410)
  first.signal('SIGKILL')
  await first.ended(NOTICED_MS)
  await proxy.close()
  await proxyTo(cluster.port, proxy.port)
  await page.untilShows(/Ask the receiver whether the file arrived/, LONG_MS)
  expect(await page.text()).not.toMatch(/^Delivered$/m)
})

test('a rolling restart loses nothing between pages', { timeout: 2 * LONG_MS }, async () => {
  const browser = await startChromium()
  const cluster = await rollingCluster(3, '--reservations')
  await Promise.all(cluster.nodes.map((node) => node.start()))
  const opened = await openPages(
    browser,
    [
      { what: 'file', isSealed: true, phase: 'streaming', to: 'pickers' },
      { what: 'folder', isSealed: true, phase: 'streaming', to: 'ess' },
      { what: 'file', isSealed: true, phase: 'waiting', to: 'no pickers' },
      { what: 'text', isSealed: true, phase: 'waiting', to: 'ess' },
    ],
    cluster,
  )
  const begun = await beginPages(browser, opened, cluster)
  // Otherwise the last node would have nothing left to do.
  for (const { proxy } of begun) await proxy.strike({ kind: 'throttle', bytesPerSecond: 150_000 })
  for (const node of cluster.nodes) {
    node.signal('SIGTERM')
    expect((await node.ended(NOTICED_MS)).code).toBe(0)
    await node.start()
  }
  await expectDelivered(begun)
})

test('a page says so if its server does not come back', { timeout: LONG_MS }, async () => {
  const server = await startServerHere('--resume-within', '60')
  const page = await openInChromium(server.url)
  await page.chooseFiles([await newFile(Buffer.from('small'))])
  await page.page.route('**/reserve*', (route) =>
    route.fulfill({ status: 502, contentType: 'text/html', body: '<h1>Bad Gateway</h1>' }),
  )
  await page.press(SENDING.send)
  await page.untilShows(new RegExp(SENDING.preparing))
  // What was chosen is still there.
  await within(LONG_MS, 'it gives up', page.untilShows(/HTTP 502, and not as ESS[\s\S]*Send/, LONG_MS))
})
