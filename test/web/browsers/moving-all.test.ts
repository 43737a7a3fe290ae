import { beforeEach, expect, test } from 'vitest'
import { SENDING } from '../../../shared/page-words-sending.js'
import { trustedCertificate } from '../../helpers/certificate.js'
import { startChromium } from '../../helpers/chromium.js'
import { withFirstNode } from '../../helpers/killed-node.js'
import { needs } from '../../helpers/needs.js'
import {
  beginPages,
  expectDelivered,
  NOTICED_MS,
  openPages,
  type PageTransfer,
} from '../../helpers/page-moves.js'
import { newFile, proxyTo, receive, SLOW } from '../../helpers/page-offers.js'
import { connectReceiver, expectReceived, startSender, untilReceiving } from '../../helpers/peers.js'
import { needsRedis } from '../../helpers/redis.js'
import { openInFirefox } from '../../helpers/send-page.js'

beforeEach((context) => {
  needs(context, 'chromium', 'haproxy')
  needsRedis(context)
})

/** Two groups, because each link that waits holds one of the six connections that a browser has to a server. */
const ALL: readonly (readonly PageTransfer[])[] = [
  [
    { what: 'file', isSealed: true, phase: 'waiting', to: 'ess' },
    { what: 'file', isSealed: false, phase: 'waiting', to: 'ess' },
    { what: 'text', isSealed: false, phase: 'waiting', to: 'no pickers' },
    { what: 'folder', isSealed: true, phase: 'streaming', to: 'pickers' },
  ],
  [
    { what: 'folder', isSealed: false, phase: 'streaming', to: 'ess' },
    { what: 'file', isSealed: true, phase: 'streaming', to: 'no pickers' },
    { what: 'file', isSealed: true, phase: 'streaming', to: 'memory alone' },
    { what: 'file', isSealed: false, phase: 'streaming', to: 'ess' },
  ],
]

const CASES = (['SIGTERM', 'SIGKILL'] as const).flatMap((signal) =>
  ALL.map((transfers, index) => ({ signal, transfers, index })),
)

test.for(CASES)(
  'what pages send outlives its node: $signal, $index',
  {
    timeout: 4 * NOTICED_MS,
  },
  async ({ signal, transfers }) => {
    const browser = await startChromium()
    const { cluster, first, opened } = await withFirstNode((cluster) =>
      openPages(browser, transfers, cluster),
    )
    const begun = await beginPages(browser, opened, cluster)
    first.signal(signal)
    const { code } = await first.ended(NOTICED_MS)
    expect(code).toBe(signal === 'SIGTERM' ? 0 : null)
    if (signal === 'SIGTERM')
      expect(first.stderr().match(/"outcome":"moved"/g)).toHaveLength(transfers.length)
    await expectDelivered(begun)
  },
)

test('by HTTP/2, pages leave a node that stops at once, whatever keeps it', {
  timeout: 3 * NOTICED_MS,
}, async () => {
  const { path, keyPath } = await trustedCertificate()
  const browser = await startChromium('--ignore-certificate-errors')
  const { cluster, first, opened } = await withFirstNode(
    async (cluster) => {
      const [pages, kept] = await Promise.all([
        openPages(
          browser,
          [
            { what: 'file', isSealed: true, phase: 'waiting', to: 'ess' },
            { what: 'file', isSealed: true, phase: 'streaming', to: 'pickers' },
            { what: 'file', isSealed: true, phase: 'streaming', to: 'ess' },
          ],
          cluster,
        ),
        startSender('curl', cluster, 'held'),
      ])
      return { pages, kept }
    },
    '--tls-cert',
    path,
    '--tls-key',
    keyPath,
    '--drain',
    '120',
  )
  const { pages, kept } = opened
  const receiver = await connectReceiver('curl', kept)
  kept.stdin.write(Buffer.alloc(1_000_000))
  await untilReceiving(receiver)
  const begun = await beginPages(browser, pages, cluster)
  first.signal('SIGTERM')
  await expectDelivered(begun)
  kept.stdin.end(Buffer.alloc(1_000_000))
  await expectReceived(receiver)
  expect((await first.ended(NOTICED_MS)).code).toBe(0)
})

test.for(['SIGTERM', 'SIGKILL'] as const)(
  'what Firefox sends outlives its node: %s',
  {
    timeout: 4 * NOTICED_MS,
  },
  async (signal, context) => {
    needs(context, 'firefox-esr')
    const path = await newFile()
    const { cluster, first, opened } = await withFirstNode(async ({ url }) => {
      const page = await openInFirefox(url)
      await page.chooseFiles([path])
      await page.press(SENDING.send)
      return { page, link: await page.link() }
    })
    const proxy = await proxyTo(cluster.port)
    await proxy.strike(SLOW)
    const { page, link } = opened
    const ess = await receive(link.replace(`:${cluster.port}/`, `:${proxy.port}/`))
    await page.untilShows(/MB of 30\.0 MB/, NOTICED_MS)
    first.signal(signal)
    await first.ended(NOTICED_MS)
    await ess.whole()
    await page.untilShows(/^Delivered$/m)
    expect(await page.link()).toBe(link)
  },
)
