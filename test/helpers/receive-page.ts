import { basename } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { startChromium } from './chromium.js'
import { type Firefox, startFirefox } from './firefox.js'
import { pickAsSuggested, withoutPickers } from './picked-files.js'
import { recordSecretsIn } from './suite-logs.js'
import { tempDir } from './temp-dir.js'
import { DEADLINE_MS, until, within } from './within.js'

/** The page of a link, in a real browser, as a person uses it. */
export interface ReceivePage {
  /** Clicks a button by its words. */
  press(words: string): Promise<void>
  /** Types an answer to the page's question, and sends it. */
  answer(text: string): Promise<void>
  /** Waits until the page shows this. */
  untilShows(wanted: RegExp | string, ms?: number): Promise<void>
  /** All that the page shows. */
  text(): Promise<string>
  /** Waits until the page's first download has ended. */
  download(ms?: number): Promise<EndedDownload>
  /** How many downloads the browser has begun. */
  downloadCount(): Promise<number>
  /** The files that pages of this origin keep in the browser's storage. */
  stored(): Promise<unknown>
  /** Goes elsewhere, as a person does who closes the tab. */
  leave(): Promise<void>
  /** Closes the tab. */
  close(): Promise<void>
}

export interface EndedDownload {
  readonly isWhole: boolean
  /** Undefined where nothing was kept. */
  readonly path: string | undefined
  /** What the browser calls it, if it is whole. */
  readonly name?: string
}

/** How Chromium saves: by a picker, like other browsers, or like those that let this page keep nothing. */
export type Saving = 'pickers' | 'no pickers' | 'memory alone'

/** Opens a link in Chromium. The test fails if the page writes to the console, or throws. */
export async function openInChromium(
  link: string,
  saving: Saving = 'no pickers',
): Promise<ReceivePage & { readonly page: Page }> {
  // A name that is not this machine's to a browser: over plain HTTP, that is no secure context.
  const browser = await startChromium(
    '--host-resolver-rules=MAP *.test 127.0.0.1',
    // Of a certificate that the test has made.
    '--ignore-certificate-errors',
  )
  return await openInTab(browser, link, saving)
}

/** The same, in a new tab of a browser that runs. */
export async function openInTab(
  browser: BrowserContext,
  link: string,
  saving: Saving,
): Promise<ReceivePage & { readonly page: Page }> {
  recordSecretsIn(link)
  const page = await browser.newPage()
  const said: string[] = []
  page.on('console', (message) => {
    // A cut, a refusal, the page's own 406: the browser itself writes of each request that fails.
    if (!message.text().startsWith('Failed to load resource')) said.push(message.text())
  })
  page.on('pageerror', (error) => said.push(String(error)))
  page.on('dialog', (dialog) => void dialog.accept())
  onTestFinished(() => expect(said).toEqual([]))
  const downloading = new Promise<import('playwright-core').Download>((resolve) =>
    page.once('download', resolve),
  )
  let downloads = 0
  page.on('download', () => downloads++)
  await (saving === 'pickers' ? pickAsSuggested(page) : withoutPickers(page))
  if (saving === 'memory alone')
    await page.addInitScript('delete FileSystemFileHandle.prototype.createWritable')
  await page.goto(link)
  return {
    page,
    ...byScript((expression) => page.evaluate(expression)),
    async download(ms = DEADLINE_MS) {
      const download = await within(ms, 'a download begins', downloading)
      const failure = await within(ms, 'the download ends', download.failure())
      return failure === null
        ? { isWhole: true, path: await download.path(), name: download.suggestedFilename() }
        : { isWhole: false, path: undefined }
    },
    downloadCount: () => Promise.resolve(downloads),
    leave: async () => void (await page.goto('about:blank')),
    close: () => page.close(),
  }
}

/** Opens a link in Firefox, which trusts this authority (PEM) too. */
export async function openInFirefox(
  link: string,
  authority?: string,
): Promise<ReceivePage & { readonly firefox: Firefox }> {
  const firefox = await startFirefox(await tempDir())
  if (authority !== undefined) await firefox.trust(authority)
  return await openWith(firefox, link)
}

/** The same, in a Firefox that runs, in place of the page that it has. */
export async function openWith(
  firefox: Firefox,
  link: string,
): Promise<ReceivePage & { readonly firefox: Firefox }> {
  recordSecretsIn(link)
  const { length: before } = await firefox.downloads()
  await firefox.open(link)
  return {
    firefox,
    ...byScript((expression) => firefox.run(`return ${expression}`)),
    async download(ms = DEADLINE_MS) {
      const ended = async () => {
        const download = (await firefox.downloads())[before]
        return download?.stopped && (download.succeeded || download.failed) ? download : undefined
      }
      const { succeeded, path } = await until('the download ends', ended, ms)
      return succeeded ? { isWhole: true, path, name: basename(path) } : { isWhole: false, path: undefined }
    },
    downloadCount: async () => (await firefox.downloads()).length,
    leave: () => firefox.open('about:blank'),
    close: firefox.close,
  }
}

/** Chromium runs no script while the answer to a form takes the place of the page. */
function isBetweenPages(error: unknown): boolean {
  return error instanceof Error && error.message.includes('Execution context was destroyed')
}

/** Chromium has `ID.crswap` beside a file that is written. A folder that is not there has no files; over plain HTTP there is no storage either. */
const STORED = `(async () => {
  const ids = new Set()
  try {
    const root = await navigator.storage.getDirectory()
    const folder = await root.getDirectoryHandle('ephemeral-socket-service')
    for await (const name of folder.keys()) ids.add(name.split('.')[0])
  } catch {}
  return [...ids]
})()`

function byScript(
  evaluate: (expression: string) => Promise<unknown>,
): Pick<ReceivePage, 'press' | 'answer' | 'untilShows' | 'text' | 'stored'> {
  const text = async () => String(await evaluate('document.body.innerText'))
  return {
    text,
    async press(words) {
      const button = `[...document.querySelectorAll('button')].find((one) => one.textContent === ${JSON.stringify(words)} && !one.disabled)`
      await until(`the button ${words}`, () => evaluate(`${button} !== undefined`))
      await evaluate(`${button}.click()`)
    },
    stored: () => evaluate(STORED),
    async answer(typed) {
      await until('the page asks', () => evaluate("document.querySelector('form input[required]') !== null"))
      await evaluate(
        `Object.assign(document.querySelector('form input[required]'), { value: ${JSON.stringify(typed)} }).form.requestSubmit()`,
      )
    },
    async untilShows(wanted, ms = DEADLINE_MS) {
      let shown = ''
      const shows = async () => {
        try {
          shown = await text()
        } catch (error) {
          if (!isBetweenPages(error)) throw error
          return false
        }
        return typeof wanted === 'string' ? shown.includes(wanted) : wanted.test(shown)
      }
      await until(`the page shows ${wanted}`, shows, ms).catch((error: unknown) => {
        throw new Error(`${error}; it shows ${JSON.stringify(shown)}`)
      })
    },
  }
}
