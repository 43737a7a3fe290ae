import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { tempDir } from './temp-dir.js'
import { DEADLINE_MS, within } from './within.js'

const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  // A name that is not this machine's to a browser: an insecure context, over plain HTTP.
  '--host-resolver-rules=MAP *.test 127.0.0.1',
]

/** Debian's Chromium without a window. It is closed when the test is over. */
export async function startChromium(): Promise<BrowserContext> {
  const browser = await within(
    2 * DEADLINE_MS,
    'the browser starts',
    chromium.launchPersistentContext(await tempDir(), {
      executablePath: '/usr/bin/chromium',
      args: ARGS,
      acceptDownloads: true,
      ignoreHTTPSErrors: true,
    }),
  )
  onTestFinished(() => browser.close())
  browser.setDefaultTimeout(DEADLINE_MS)
  return browser
}

/** Browsers write every refusal as an error. The page of a link comes with 406, and so does not pass for its file. */
const REFUSED = /^Failed to load resource: the server responded with a status of 4\d\d /

/** A page whose every message is written down, but for refusals. */
export async function watchedPage(browser: BrowserContext): Promise<{ page: Page; messages: string[] }> {
  const page = await browser.newPage()
  const messages: string[] = []
  page.on('console', (message) => {
    if (!REFUSED.test(message.text())) messages.push(message.text())
  })
  page.on('pageerror', (error) => messages.push(String(error)))
  return { page, messages }
}
