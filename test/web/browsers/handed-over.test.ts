import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, type TestContext, test } from 'vitest'
import { EXIT_STATUS } from '../../../shared/index.js'
import { COMMON } from '../../../shared/page-words.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { startFirefox } from '../../helpers/firefox.js'
import { needs } from '../../helpers/needs.js'
import {
  openInChromium,
  openInFirefox,
  openInTab,
  openWith,
  type ReceivePage,
} from '../../helpers/receive-page.js'
import { runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

/*
 * Without a picker, the browser is given a file that is whole. A download that began earlier could end short, and look whole.
 */

beforeEach((context) => needs(context, 'chromium', 'firefox-esr'))

const NAME = 'report.bin'
const SIZE = 12_000_017
const LINK = /https?:\/\/\S+/
const MIB = 1024 * 1024
/** Less than the file. */
const SMALL_BYTES = 8 * MIB

/** A sealed file, whose receiver comes by the proxy. */
async function sendSealed() {
  const server = await startServerHere('--resume-within', '60')
  const proxy = await startTcpProxy(server.port)
  onTestFinished(() => proxy.close())
  const path = join(await tempDir(), NAME)
  const hash = await writeFileOf(path, SIZE)
  const sender = await runEss(server.url, ['send', '--encrypt', path])
  const [url = ''] = await sender.untilStdout(LINK)
  const link = new URL(url)
  link.port = String(proxy.port)
  return { sender, link: link.href, proxy, hash, server }
}

const SLOW = { kind: 'throttle', bytesPerSecond: 3_000_000 } as const
const FAST = { kind: 'throttle', bytesPerSecond: 100_000_000 } as const
const SOON_MS = 5_000

type Visit = (url: string) => Promise<unknown>

async function inChromium(link: string): Promise<ReceivePage & { readonly visit: Visit }> {
  const page = await openInChromium(link)
  return { ...page, visit: (url) => page.page.goto(url) }
}

async function inFirefox(link: string): Promise<ReceivePage & { readonly visit: Visit }> {
  const page = await openInFirefox(link)
  return { ...page, visit: (url) => page.firefox.open(url) }
}

describe.each([
  ['Chromium', inChromium],
  ['Firefox', inFirefox],
] as const)('%s, without a picker,', (_browser, open) => {
  test('begins no download before the file is whole, and keeps no copy of it for a closed page', async () => {
    const { sender, link, proxy, hash, server } = await sendSealed()
    await proxy.strike(SLOW)
    const page = await open(link)
    await page.press(RECEIVING.save)
    await page.untilShows(/MB of 12\.0 MB/)
    expect(await page.downloadCount()).toBe(0)
    expect(await page.stored()).toHaveLength(1)
    await proxy.strike(FAST)
    await page.untilShows(RECEIVING.savedToDownloads)
    const { isWhole, path = '' } = await page.download()
    expect(isWhole).toBe(true)
    expect(await sha256OfFile(path)).toBe(hash)
    expect((await sender.ended()).code).toBe(0)
    await page.visit(server.url)
    await expect.poll(() => page.stored()).toEqual([])
  })
})

test('storage that turns out to be too small is no delivery, and leaves nothing', async () => {
  const { sender, link } = await sendSealed()
  const page = await openInChromium(link)
  await page.untilShows(NAME)
  const session = await page.page.context().newCDPSession(page.page)
  // The page isn't told.
  const { origin } = new URL(link)
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: SMALL_BYTES })
  await page.press(RECEIVING.save)
  await page.untilShows(RECEIVING.unwritable)
  const { code, stdout } = await sender.ended(SOON_MS)
  expect(String(stdout)).not.toContain('delivered')
  expect(code).toBe(EXIT_STATUS.broken)
  expect(await page.downloadCount()).toBe(0)
  expect(await page.stored()).toEqual([])
})

/** Opens a link in a Chromium that tells the page of so much room, as on a small disk. */
async function openWithRoom(link: string, quota: number, ...scripts: readonly string[]) {
  const page = await openInChromium(link)
  const estimate = `StorageManager.prototype.estimate = async () => ({ quota: ${quota}, usage: 0 })`
  for (const script of [estimate, ...scripts]) await page.page.addInitScript(script)
  await page.page.reload()
  await page.untilShows(NAME)
  await page.press(RECEIVING.save)
  return page
}

test('a file that is larger than the storage fits into memory', async () => {
  const { sender, link, hash } = await sendSealed()
  const page = await openWithRoom(link, SMALL_BYTES)
  await page.untilShows(RECEIVING.savedToDownloads)
  expect(await page.stored()).toEqual([])
  const { path = '' } = await page.download()
  expect(await sha256OfFile(path)).toBe(hash)
  expect((await sender.ended()).code).toBe(0)
})

test('a file that is larger than both is refused before the link is used up', async () => {
  const server = await startServerHere()
  const path = join(await tempDir(), NAME)
  const hash = await writeFileOf(path, 90 * MIB)
  const sender = await runEss(server.url, ['send', '--encrypt', path])
  const [link = ''] = await sender.untilStdout(LINK)
  const phone = "Object.defineProperty(navigator, 'userAgent', { value: 'Android Mobile' })"
  const page = await openWithRoom(link, 81 * MIB, phone)
  await page.untilShows(RECEIVING.tooLargeHere(80 * MIB))
  const to = join(await tempDir(), NAME)
  expect((await (await runEss(undefined, ['get', link, '-o', to])).ended()).code).toBe(0)
  expect(await sha256OfFile(to)).toBe(hash)
})

test('what a closed page has left is removed by the next one, and what an open page receives stays', async () => {
  const { sender, link, proxy, hash, server } = await sendSealed()
  await proxy.strike(SLOW)
  const page = await openInChromium(link)
  await page.press(RECEIVING.save)
  await page.untilShows(/MB of 12\.0 MB/)
  const [own] = Object(await page.stored()) as unknown[]
  await page.page.evaluate(`(async () => {
    const root = await navigator.storage.getDirectory()
    const folder = await root.getDirectoryHandle('ephemeral-socket-service')
    await folder.getFileHandle('left', { create: true })
  })()`)
  expect(await page.stored()).toHaveLength(2)
  const another = await runEss(server.url, ['send', '--encrypt', '--text', 'hello'])
  const [url = ''] = await another.untilStdout(LINK)
  // Another port would be another origin.
  const by = new URL(url)
  by.port = new URL(link).port
  await openInTab(page.page.context(), by.href, 'no pickers')
  await expect.poll(() => page.stored()).toEqual([own])
  await proxy.strike(FAST)
  await page.untilShows(RECEIVING.savedToDownloads)
  const { path = '' } = await page.download()
  expect(await sha256OfFile(path)).toBe(hash)
  expect((await sender.ended()).code).toBe(0)
})

test('a disk that takes nothing is told, and Cancel does not wait for it', async () => {
  const { sender, link } = await sendSealed()
  const page = await openInChromium(link, 'pickers')
  await page.page.addInitScript(`
    window.showSaveFilePicker = async ({ suggestedName }) => ({
      name: suggestedName,
      createWritable: async () => ({ write: () => new Promise(() => {}), abort: () => new Promise(() => {}) }),
      getFile: async () => ({ size: 1 }),
    })
  `)
  await page.page.reload()
  await page.press(RECEIVING.save)
  await page.untilShows(RECEIVING.diskWaits, 20_000)
  await page.press(COMMON.cancel)
  await page.untilShows(RECEIVING.stopped)
  const { code, stdout } = await sender.ended(SOON_MS)
  expect(String(stdout)).not.toContain('delivered')
  expect(code).toBe(EXIT_STATUS.broken)
})

/** A disk with room for the first bytes of the file alone. `more` makes it large enough. */
function smallDisk({ skip }: TestContext, folder: string): { more(): void } {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder], { stdio: 'ignore' })
  } catch {
    skip('needs the right to mount a disk')
  }
  onTestFinished(() => void execFileSync('umount', ['-l', folder]))
  return { more: () => void execFileSync('mount', ['-o', 'remount,size=64m', folder]) }
}

test('a full disk fails Firefox’s copy alone, and the page gives it again', async (context) => {
  const folder = await tempDir()
  const disk = smallDisk(context, folder)
  const { sender, link, hash } = await sendSealed()
  const firefox = await startFirefox(folder)
  const page = await openWith(firefox, link)
  await page.press(RECEIVING.save)
  await page.untilShows(RECEIVING.savedToDownloads)
  expect((await page.download()).isWhole).toBe(false)
  expect((await sender.ended()).code).toBe(0)
  disk.more()
  await firefox.run("document.querySelector('a[download]').click()")
  const again = async () => (await firefox.downloads()).find(({ succeeded }) => succeeded)
  const { path } = await until('the second download ends', again)
  expect(await sha256OfFile(path)).toBe(hash)
})
