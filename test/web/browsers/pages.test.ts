import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { certificate } from '../../helpers/certificate.js'
import { needs } from '../../helpers/needs.js'
import { runCurl } from '../../helpers/run-curl.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

beforeEach((context) => needs(context, 'chromium', 'curl'))

async function startChromium(): Promise<BrowserContext> {
  const browser = await within(
    2 * DEADLINE_MS,
    'the browser starts',
    chromium.launchPersistentContext(await tempDir(), {
      executablePath: '/usr/bin/chromium',
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--host-resolver-rules=MAP *.test 127.0.0.1',
      ],
      ignoreHTTPSErrors: true,
    }),
  )
  onTestFinished(() => browser.close())
  browser.setDefaultTimeout(DEADLINE_MS)
  return browser
}

/** A page whose every message and request is written down. */
async function watchedPage(browser: BrowserContext) {
  const page = await browser.newPage()
  const messages: string[] = []
  const requested: string[] = []
  page.on('console', (message) => messages.push(message.text()))
  page.on('pageerror', (error) => messages.push(String(error)))
  page.on('request', (request) => requested.push(request.url()))
  return { page, messages, requested }
}

/** Goes there, and waits until the page's parts are there. */
async function visit(page: Page, url: string): Promise<void> {
  await page.goto(url, { waitUntil: 'load' })
  await page.locator('h1').waitFor()
}

/** Browsers write every refusal as an error, whatever the page does with it. */
const REFUSED = /^Failed to load resource: the server responded with a status of 4\d\d /

describe.each([
  ['on this machine', 'http', '127.0.0.1'],
  // An insecure context: without storage, crypto.subtle and the clipboard.
  ['over plain HTTP to another machine', 'http', 'send.test'],
  ['over HTTP/2', 'https', '127.0.0.1'],
])('%s, in Chromium', (_where, scheme, host) => {
  async function startServer() {
    if (scheme === 'http') return await startServerHere()
    const pair = await certificate()
    return await startServerHere('--tls-cert', pair.path, '--tls-key', pair.keyPath)
  }

  test('no page breaks its own policy, asks anyone else, or leaves a message', async (context) => {
    if (scheme === 'https') needs(context, 'openssl')
    const server = await startServer()
    const base = `${scheme}://${host}:${server.port}`
    const sender = await runCurl(['-k', '-T', '-', `${server.url}/notes.txt`], { stdin: 'hello' })
    const [printed = ''] = await sender.untilStdout(/^https?\S+/)
    const link = base + new URL(printed).pathname
    const { page, messages, requested } = await watchedPage(await startChromium())

    for (const url of [`${base}/`, link, `${base}/abcdefghijkl`, `${base}/a/b/c`]) await visit(page, url)
    expect(await page.locator('small').textContent()).toBe('Error code: not-found')
    // A style that the policy refuses has no rules.
    expect(await page.evaluate('document.styleSheets[0].cssRules.length')).toBeGreaterThan(0)
    expect(messages.filter((message) => !REFUSED.test(message))).toEqual([])
    const strangers = requested.filter((url) => !url.startsWith(`${base}/`) && !url.startsWith('data:'))
    expect(strangers).toEqual([])
    // Scripts and styles came, and nothing of a favicon.
    expect(requested.filter((url) => url.startsWith(`${base}/web/`)).length).toBeGreaterThan(2)
    expect(requested.filter((url) => url.includes('favicon'))).toEqual([])
    // Looking used nothing up.
    expect((await (await runCurl(['-kf', printed])).ended()).stdout.toString()).toBe('hello')
    expect((await sender.ended()).code).toBe(0)
  })

  test('the policy stops text from becoming code, and a request to anyone else', async (context) => {
    if (scheme === 'https') needs(context, 'openssl')
    const server = await startServer()
    const { page, messages } = await watchedPage(await startChromium())
    await visit(page, `${scheme}://${host}:${server.port}/`)
    const seen: unknown = await page.evaluate(`(async () => {
      const tried = async (act) => { try { await act(); return 'done' } catch (error) { return error.name } }
      return [
        await tried(() => { document.body.innerHTML = '<p>text</p>' }),
        await tried(() => trustedTypes.createPolicy('another', { createHTML: (text) => text })),
        await tried(() => fetch('http://127.0.0.1:9/')),
      ]
    })()`)
    expect(seen).toEqual(['TypeError', 'TypeError', 'TypeError'])
    await until('each is reported', () => messages.filter((one) => /violat|requires/i.test(one)).length >= 3)
  })
})
