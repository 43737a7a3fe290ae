import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { EXIT_STATUS } from '../../../shared/index.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { LONG_MS, NAME, proxyTo, SIZE } from '../../helpers/page-offers.js'
import { pickedFiles } from '../../helpers/picked-files.js'
import * as receivers from '../../helpers/receive-page.js'
import { runEss } from '../../helpers/run-ess.js'
import * as senders from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { within } from '../../helpers/within.js'

// One transfer for each kind of cut, in every run. All of them, in both browsers and in every way to save, are in
// sending-cuts and receiving-cuts, which have a run of their own.

beforeEach((context) => needs(context, 'chromium', 'firefox-esr'))

async function toDisk(link: string): Promise<() => Promise<string | undefined>> {
  const page = await receivers.openInChromium(link, 'pickers')
  await page.press(RECEIVING.save)
  return async () => {
    await page.untilShows(RECEIVING.savedToDisk(NAME), LONG_MS)
    return (await pickedFiles(page.page))[NAME]
  }
}

async function byDownload(link: string): Promise<() => Promise<string | undefined>> {
  const page = await receivers.openInFirefox(link)
  await page.press(RECEIVING.save)
  return async () => {
    await page.untilShows(RECEIVING.savedToDownloads, LONG_MS)
    const { isWhole, path = '' } = await page.download(LONG_MS)
    expect(isWhole).toBe(true)
    return await sha256OfFile(path)
  }
}

test.for([
  { from: 'Chromium', to: 'Firefox', kind: 'rst', open: senders.openInChromium, receive: byDownload },
  { from: 'Firefox', to: 'Chromium', kind: 'fin', open: senders.openInFirefox, receive: toDisk },
] as const)(
  'from $from to $to, a file is whole though both connections are cut midway: $kind',
  { timeout: 3 * LONG_MS },
  async ({ kind, open, receive }) => {
    const server = await startServerHere('--resume-within', '60')
    const [sending, receiving] = [await proxyTo(server.port), await proxyTo(server.port)]
    const path = join(await tempDir(), NAME)
    const hash = await writeFileOf(path, SIZE)
    const page = await open(`http://127.0.0.1:${sending.port}`)
    await page.chooseFiles([path])
    await page.press('Send')
    const link = new URL(await page.link())
    link.port = String(receiving.port)
    const cuts = [sending.arm({ kind }, 'up', 9_000_000), receiving.arm({ kind }, 'down', 14_000_000)]
    const whole = await receive(link.href)
    await within(LONG_MS, 'both cuts', Promise.all(cuts))
    expect(await whole()).toBe(hash)
    await page.untilShows(/^Delivered$/m, LONG_MS)
  },
)

test('a page that is offline while its link waits sends when it is back', {
  timeout: 2 * LONG_MS,
}, async () => {
  const server = await startServerHere('--resume-within', '60')
  const first = await proxyTo(server.port)
  const path = join(await tempDir(), NAME)
  const hash = await writeFileOf(path, SIZE)
  const page = await senders.openInFirefox(`http://127.0.0.1:${first.port}`)
  await page.chooseFiles([path])
  await page.press('Send')
  const link = new URL(await page.link())
  await first.close()
  await page.untilShows(/can’t be reached/)
  await proxyTo(server.port, first.port)
  link.port = String(server.port)
  expect(await (await toDisk(link.href))()).toBe(hash)
  await page.untilShows(/^Delivered$/m, LONG_MS)
})

test('a changed byte is found, and leaves nothing that looks like the file', async () => {
  const server = await startServerHere('--resume-within', '60')
  const proxy = await proxyTo(server.port)
  const path = join(await tempDir(), NAME)
  await writeFileOf(path, SIZE)
  const sender = await runEss(server.url, ['send', '--encrypt', path])
  const [url = ''] = await sender.untilStdout(/https?:\/\/\S+/)
  const link = new URL(url)
  link.port = String(proxy.port)
  const page = await receivers.openInChromium(link.href)
  const change = proxy.arm({ kind: 'flip' }, 'down', 12_000_000)
  await page.press(RECEIVING.save)
  await within(LONG_MS, 'the change', change)
  await page.untilShows(RECEIVING.changed)
  expect(await page.downloadCount()).toBe(0)
  expect((await sender.ended()).code).toBe(EXIT_STATUS.broken)
})
