import { join } from 'node:path'
import type { BrowserContext } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { RECEIVING } from '../../shared/page-words-receiving.js'
import { SENDING } from '../../shared/page-words-sending.js'
import { sha256OfFile, writeFileOf } from './bytes.js'
import { FOLDER_NAME, filesIn, makeFolder } from './page-peers.js'
import { pickedFiles } from './picked-files.js'
import * as receivers from './receive-page.js'
import type { RollingCluster } from './rolling-cluster.js'
import { runEss } from './run-ess.js'
import type { ChromiumPage } from './send-page.js'
import * as senders from './send-page.js'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js'
import { tempDir } from './temp-dir.js'

/*
 * What pages send and receive while the node of their transfer stops, or is killed.
 */

/** How a page's transfer is made, and how far it is when its node goes. */
export interface PageTransfer {
  readonly what: 'file' | 'folder' | 'text'
  readonly isSealed: boolean
  /** `waiting`: its receiver comes afterwards. `streaming`: it has some of it by then. */
  readonly phase: 'waiting' | 'streaming'
  /** `ess`, or a page in Chromium that saves in this way. */
  readonly to: 'ess' | receivers.Saving
}

/** More than the buffers between the two sides hold. */
const SIZE = 40_000_017
const NAME = 'report.bin'
const TEXT = 'Grüße!\n<b>zwölf</b> Boxkämpfer 🦊'
/** Slow enough that the first transfer still runs when the last one has begun, and their node goes. */
const BYTES_PER_SECOND = 500_000
/** The other nodes miss one that was killed within 20 s, and a page that asks then asks again within 10 s. */
export const NOTICED_MS = 60_000
/** What is left of a transfer then. */
const REST_MS = 60_000

/** A page whose link is there. */
export interface OpenedPage extends PageTransfer {
  readonly page: ChromiumPage
  readonly link: string
  /** The SHA-256 of each file that must arrive, by its path. */
  readonly files: Readonly<Record<string, string>>
}

/** The same when its node goes. */
export interface BegunPage extends OpenedPage {
  readonly proxy: TcpProxy
  /** Receives all of it. Resolves when it is there, as far as its receiver can tell. */
  readonly received: () => Promise<Readonly<Record<string, string>> | string>
}

/** Opens a tab for each of these, and makes its link. */
export async function openPages(
  browser: BrowserContext,
  transfers: readonly PageTransfer[],
  { url }: RollingCluster,
): Promise<readonly OpenedPage[]> {
  const opened: OpenedPage[] = []
  for (const transfer of transfers) {
    const page = await senders.openInTab(browser, url)
    const { what, isSealed } = transfer
    const files: Record<string, string> = {}
    if (what === 'text') await page.type(TEXT)
    else if (what === 'folder') {
      const { path, hashes } = await makeFolder()
      for (const [name, hash] of Object.entries(hashes)) files[`${FOLDER_NAME}/${name}`] = hash
      files[`${FOLDER_NAME}/more.bin`] = await writeFileOf(join(path, 'more.bin'), SIZE, 2)
      await page.chooseFolder(path)
    } else {
      const path = join(await tempDir(), NAME)
      files[NAME] = await writeFileOf(path, SIZE)
      await page.chooseFiles([path])
    }
    if (!isSealed) await page.unseal()
    await page.press(SENDING.send)
    opened.push({ ...transfer, page, files, link: await page.link() })
  }
  return opened
}

/** Starts the receivers of those that stream, and resolves when each has some of it. */
export async function beginPages(
  browser: BrowserContext,
  opened: readonly OpenedPage[],
  { port }: RollingCluster,
): Promise<readonly BegunPage[]> {
  const begun: BegunPage[] = []
  for (const one of opened) {
    const proxy = await startTcpProxy(port)
    onTestFinished(() => proxy.close())
    const link = one.link.replace(`:${port}/`, `:${proxy.port}/`)
    if (one.phase === 'waiting') {
      begun.push({ ...one, proxy, received: async () => await (await receive(browser, one, link))() })
      continue
    }
    await proxy.strike({ kind: 'throttle', bytesPerSecond: BYTES_PER_SECOND })
    const received = await receive(browser, one, link)
    await one.page.untilShows(/MB of \d+\.\d MB/, REST_MS)
    begun.push({ ...one, proxy, received })
  }
  return begun
}

/** All of them arrive, by the links that were given out, and their pages say so. */
export async function expectDelivered(begun: readonly BegunPage[]): Promise<void> {
  for (const { proxy } of begun)
    await proxy.strike({ kind: 'throttle', bytesPerSecond: Number.POSITIVE_INFINITY })
  for (const { page, received, files, link, what, isSealed, phase, to } of begun) {
    const name = `${isSealed ? 'sealed ' : ''}${what} to ${to}, ${phase}`
    const got = await received().catch(async (error: unknown) => {
      throw new Error(`${name}: ${error}; its sender shows ${JSON.stringify(await page.text())}`)
    })
    expect(got, name).toEqual(what === 'text' ? TEXT : files)
    await page.untilShows(new RegExp(`^${SENDING.delivered}$`, 'm'), REST_MS)
    expect(await page.link(), name).toBe(link)
  }
}

async function receive(
  browser: BrowserContext,
  transfer: PageTransfer,
  link: string,
): Promise<BegunPage['received']> {
  const { what, to } = transfer
  if (to !== 'ess') return await receiveInPage(browser, transfer, to, link)
  const cwd = await tempDir()
  const ess = await runEss(undefined, ['get', link, ...(what === 'text' ? [] : ['-o', `${cwd}/`])])
  return async () => {
    const { code, stdout, stderr } = await ess.ended(NOTICED_MS + REST_MS)
    expect({ code, stderr }).toMatchObject({ code: 0 })
    return what === 'text' ? String(stdout) : await filesIn(cwd)
  }
}

async function receiveInPage(
  browser: BrowserContext,
  { what }: PageTransfer,
  saving: receivers.Saving,
  link: string,
): Promise<BegunPage['received']> {
  const page = await receivers.openInTab(browser, link, saving)
  const LONG_MS = NOTICED_MS + REST_MS
  if (what === 'text') {
    await page.press(RECEIVING.showText)
    return async () => {
      await page.untilShows(TEXT, LONG_MS)
      return TEXT
    }
  }
  if (what === 'folder') {
    await page.press(RECEIVING.saveFolder)
    return async () => {
      await page.untilShows(RECEIVING.savedToFolder(FOLDER_NAME), LONG_MS)
      const picked = Object.entries(await pickedFiles(page.page))
      return Object.fromEntries(
        picked
          .filter(([name]) => name.startsWith(`picked/`) && !name.endsWith('/'))
          .map(([name, hash]) => [name.replace('picked/', ''), hash]),
      )
    }
  }
  await page.press(RECEIVING.save)
  if (saving === 'pickers')
    return async () => {
      await page.untilShows(RECEIVING.savedToDisk(NAME), LONG_MS)
      return { [NAME]: (await pickedFiles(page.page))[NAME] ?? '' }
    }
  return async () => {
    await page.untilShows(RECEIVING.savedToDownloads, LONG_MS)
    const { isWhole, path = '', name = '' } = await page.download(LONG_MS)
    expect(isWhole).toBe(true)
    return { [name]: await sha256OfFile(path) }
  }
}
