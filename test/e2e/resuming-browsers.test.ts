import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Worker } from 'playwright-core'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startFirefox } from '../helpers/firefox.js'
import { readPage, tableOf } from '../helpers/markdown.js'
import { needs } from '../helpers/needs.js'
import { type OfferedFile, offerFile } from '../helpers/offered-file.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

const CHROMIUM = '/usr/bin/chromium'
/** So much is out when the connection is cut. The link's page comes first. */
const CUT_AT = 2_000_000

/** An extension that may see the list of downloads, and press its buttons. */
const EXTENSION = {
  'manifest.json': JSON.stringify({
    manifest_version: 3,
    name: 'downloads',
    version: '1',
    permissions: ['downloads'],
    background: { service_worker: 'worker.js' },
  }),
  'worker.js': '',
}

interface Item {
  readonly id: number
  readonly state: 'in_progress' | 'interrupted' | 'complete'
  readonly filename: string
  readonly bytesReceived: number
}

async function startChromium(): Promise<{ browser: BrowserContext; worker: Worker }> {
  const extension = await tempDir()
  for (const [name, text] of Object.entries(EXTENSION)) await writeFile(join(extension, name), text)
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run']
  const browser = await within(
    2 * DEADLINE_MS,
    'the browser starts',
    chromium.launchPersistentContext(await tempDir(), {
      executablePath: CHROMIUM,
      // The old headless mode, which that option would ask for, has no extensions.
      headless: false,
      args: [...flags, `--disable-extensions-except=${extension}`, `--load-extension=${extension}`],
    }),
  )
  onTestFinished(() => browser.close())
  browser.setDefaultTimeout(DEADLINE_MS)
  return { browser, worker: browser.serviceWorkers()[0] ?? (await browser.waitForEvent('serviceworker')) }
}

/** The only download. */
async function itemOf(worker: Worker): Promise<Item | undefined> {
  // As text, because it runs in the extension, whose types this project does not have.
  const items: unknown = await worker.evaluate('chrome.downloads.search({})')
  return (items as Item[])[0]
}

/** Clicks the button of the link's page, whose download is cut midway. */
async function beginInChromium(offer: OfferedFile, kind: 'rst' | 'fin'): Promise<Worker> {
  const { browser, worker } = await startChromium()
  const page = await browser.newPage()
  // The driver would keep the file for itself, under another name.
  const session = await browser.newCDPSession(page)
  await session.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: await tempDir() })
  await page.goto(offer.url)
  const cut = offer.proxy.arm({ kind }, 'down', CUT_AT)
  await page.getByRole('button').click({ noWaitAfter: true })
  await within(DEADLINE_MS, 'the cut', cut)
  return worker
}

const rows = tableOf(await readPage('docs/protocol.md'), 'a browser that is cut').rows
const said = Object.fromEntries(rows.map(([name = '', ...cells]) => [name, cells]))

/** How the download of this offer went on, in the words of the table. */
function resumption({ told }: OfferedFile): string {
  const rewind = told.findLast((event) => event.startsWith('rewind'))
  return rewind === 'rewind to 0' ? 'begins anew' : rewind === undefined ? 'fails' : 'goes on'
}

describe('Chromium', () => {
  test('goes on by itself when its connection ends early', async (context) => {
    needs(context, 'chromium')
    const offer = await offerFile()
    const worker = await beginInChromium(offer, 'fin')
    const { filename } = await until('the download is whole', async () => {
      const item = await itemOf(worker)
      return item?.state === 'complete' ? item : undefined
    })
    expect((await readFile(filename)).equals(offer.content)).toBe(true)
    expect(said['Chromium']?.[0]).toBe(
      `by itself after an early end: ${resumption(offer)}; after a reset: fails`,
    )
  })

  test('goes on by its button after a reset', async (context) => {
    needs(context, 'chromium')
    const offer = await offerFile()
    const worker = await beginInChromium(offer, 'rst')
    const { id } = await until('the download has failed', async () => {
      const item = await itemOf(worker)
      return item?.state === 'interrupted' ? item : undefined
    })
    expect(offer.told).not.toContain('delivered')
    await worker.evaluate(`chrome.downloads.resume(${id})`)
    const { filename } = await until('the download is whole', async () => {
      const item = await itemOf(worker)
      return item?.state === 'complete' ? item : undefined
    })
    expect((await readFile(filename)).equals(offer.content)).toBe(true)
    expect(said['Chromium']?.[1]).toBe(resumption(offer))
  })

  test('says that the download has failed when the sender is gone', async (context) => {
    needs(context, 'chromium')
    const offer = await offerFile()
    await offer.proxy.strike({ kind: 'throttle', bytesPerSecond: 4_000_000 })
    const worker = await beginInChromium(offer, 'rst')
    await offer.stop()
    const interrupted = async () => {
      const item = await itemOf(worker)
      return item?.state === 'interrupted' ? item : undefined
    }
    const { id } = await until('the download has failed', interrupted)
    await worker.evaluate(`chrome.downloads.resume(${id})`)
    // Its state changes while it asks.
    await until('it has failed again', async () => {
      const isOver = await interrupted()
      return isOver && (await itemOf(worker))?.state === 'interrupted'
    })
    expect((await itemOf(worker))?.state).toBe('interrupted')
    expect(said['Chromium']?.[2]).toBe('fails')
  })
})

describe('Firefox', () => {
  async function begin(kind: 'rst' | 'fin') {
    const offer = await offerFile()
    const firefox = await startFirefox(await tempDir())
    await firefox.open(offer.url)
    const cut = offer.proxy.arm({ kind }, 'down', CUT_AT)
    await firefox.click()
    await within(DEADLINE_MS, 'the cut', cut)
    await until('the download has failed', async () => (await firefox.downloads())[0]?.failed)
    expect(offer.told).not.toContain('delivered')
    return { offer, firefox }
  }

  test.each(['rst', 'fin'] as const)(
    'has the whole file after its button for another try: %s',
    async (kind) => {
      const { offer, firefox } = await begin(kind)
      expect(said['Firefox']?.[0]).toBe('fails')
      await firefox.retry()
      const { path } = await until('the download is whole', async () => {
        const [download] = await firefox.downloads()
        return download?.succeeded ? download : undefined
      })
      expect((await readFile(path)).equals(offer.content)).toBe(true)
      expect(said['Firefox']?.[1]).toBe(resumption(offer))
    },
  )

  test('says that the download has failed when the sender is gone', async () => {
    const { offer, firefox } = await begin('rst')
    await offer.stop()
    await firefox.retry()
    await until('it has failed again', async () => {
      const [download] = await firefox.downloads()
      return download?.stopped && download.failed
    })
    expect((await firefox.downloads())[0]?.succeeded).toBe(false)
    expect(said['Firefox']?.[2]).toBe('fails')
  })
})
