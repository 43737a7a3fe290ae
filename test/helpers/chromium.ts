import { type BrowserContext, chromium } from 'playwright-core'
import { onTestFinished } from 'vitest'
import { tempDir } from './temp-dir.js'
import { DEADLINE_MS, within } from './within.js'

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Starts Debian's Chromium without a window; it is closed when the test is over. */
export async function startChromium(...flags: readonly string[]): Promise<BrowserContext> {
  const browser = await within(
    2 * DEADLINE_MS,
    'the browser starts',
    chromium.launchPersistentContext(await tempDir(), {
      executablePath: '/usr/bin/chromium',
      args: [...FLAGS, ...flags],
      acceptDownloads: true,
    }),
  )
  onTestFinished(() => browser.close())
  browser.setDefaultTimeout(2 * DEADLINE_MS)
  return browser
}
