import type { BrowserContext, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { startChromium } from './chromium.js'
import { type Firefox, startFirefox } from './firefox.js'
import { recordSecretsIn } from './suite-logs.js'
import { tempDir } from './temp-dir.js'
import { DEADLINE_MS, until, within } from './within.js'

/** The page that sends, in a real browser, as a person uses it. */
export interface SendPage {
  chooseFiles(paths: readonly string[]): Promise<void>
  chooseFolder(path: string): Promise<void>
  /** Types a text in place of a file. */
  type(text: string): Promise<void>
  /** Types the token that the page asks for. */
  typeToken(token: string): Promise<void>
  /** Switches sealing off. */
  unseal(): Promise<void>
  /** Clicks a button by its words. */
  press(words: string): Promise<void>
  /** The link, once it is there. */
  link(): Promise<string>
  /** The lines for a terminal. */
  lines(): Promise<readonly string[]>
  /** Waits until the page shows this. */
  untilShows(pattern: RegExp, ms?: number): Promise<void>
  /** All that the page shows. */
  text(): Promise<string>
  /** Closes the tab. */
  close(): Promise<void>
}

/** The same, with what a test can do in Chromium alone. */
export interface ChromiumPage extends SendPage {
  readonly page: Page
  /** Opens another tab of the same browser. */
  another(url: string): Promise<ChromiumPage>
  /** Drops files and folders on the page. */
  drop(paths: readonly string[]): Promise<void>
}

/** A script's value of what an expression of the DOM gives. */
type Evaluate = (expression: string) => Promise<unknown>

/** Opens the page in Chromium. The test fails if it writes to the console, or throws. */
export async function openInChromium(url: string, ...flags: readonly string[]): Promise<ChromiumPage> {
  return await openInTab(await startChromium(...flags), url)
}

/** The same, in a new tab of a browser that runs. */
export async function openInTab(browser: BrowserContext, url: string): Promise<ChromiumPage> {
  const page = await browser.newPage()
  const said: string[] = []
  page.on('console', (message) => {
    // A cut, a refusal: the browser itself writes of each request that fails.
    if (!message.text().startsWith('Failed to load resource')) said.push(message.text())
  })
  page.on('pageerror', (error) => said.push(String(error)))
  onTestFinished(() => expect(said).toEqual([]))
  await page.goto(url)
  return {
    page,
    another: (other) => openInTab(browser, other),
    ...byScript((expression) => page.evaluate(expression)),
    close: () => page.close(),
    chooseFiles: (paths) => page.setInputFiles('input[name=files]', [...paths]),
    chooseFolder: (path) => page.setInputFiles('input[name=folder]', path),
    drop: async (paths) => {
      const session = await page.context().newCDPSession(page)
      const data = { items: [], files: [...paths], dragOperationsMask: 1 }
      for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
        await session.send('Input.dispatchDragEvent', { type, x: 300, y: 250, data })
      await session.detach()
    },
  }
}

/** Opens the page in Firefox. */
export async function openInFirefox(url: string): Promise<SendPage> {
  return await openWith(await startFirefox(await tempDir()), url)
}

/** The same, in a Firefox that runs, in place of the page that it has. */
export async function openWith(firefox: Firefox, url: string): Promise<SendPage> {
  await firefox.open(url)
  return {
    ...byScript((expression) => firefox.run(`return ${expression}`)),
    close: firefox.close,
    chooseFiles: (paths) => firefox.choose('input[name=files]', paths),
    chooseFolder: (path) =>
      firefox.chooseFolder("document.querySelector('.drop button:nth-of-type(2)')", path),
  }
}

function byScript(evaluate: Evaluate): Omit<SendPage, 'chooseFiles' | 'chooseFolder' | 'close'> {
  const value = (selector: string, text: string) =>
    `Object.assign(document.querySelector(${JSON.stringify(selector)}), { value: ${JSON.stringify(text)} }).value`
  const text = async () => String(await evaluate('document.body.innerText'))
  const press = async (words: string) => {
    const button = `[...document.querySelectorAll('button')].find((one) => one.textContent === ${JSON.stringify(words)} && !one.disabled)`
    await until(`the button ${words}`, () => evaluate(`${button} !== undefined`))
    await evaluate(`${button}.click()`)
  }
  return {
    text,
    press,
    type: async (typed) => void (await evaluate(value('textarea', typed))),
    typeToken: async (token) => void (await evaluate(value('input[name=token]', token))),
    unseal: async () => void (await evaluate("document.querySelector('input[name=sealed]').click()")),
    lines: async () => {
      const lines = await evaluate("[...document.querySelectorAll('pre')].map((one) => one.textContent)")
      // What the expression gives.
      return lines as string[]
    },
    link: async () => {
      const link = await until('the page shows a link', () =>
        evaluate("document.querySelector('.link textarea')?.value ?? ''"),
      )
      recordSecretsIn(String(link))
      return String(link)
    },
    untilShows: async (pattern, ms = DEADLINE_MS) => {
      let shown = ''
      const shows = async () => {
        shown = await text()
        return pattern.test(shown)
      }
      await within(ms, `the page shows ${pattern}`, until('it', shows, ms)).catch((error: unknown) => {
        throw new Error(`${error}; it shows ${JSON.stringify(shown)}`)
      })
    },
  }
}
