import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { sha256, writeFileOf } from '../helpers/bytes.js'
import { certificate } from '../helpers/certificate.js'
import { needs } from '../helpers/needs.js'
import { runCurl } from '../helpers/run-curl.js'
import { type ServerHere, startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

const CHROMIUM = '/usr/bin/chromium'
const SIZE = 3_000_017
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

beforeEach((context) => needs(context, 'chromium', 'curl'))

/** A browser that runs no script: what its pages do then, they do by links and forms. */
async function startBrowser(...flags: readonly string[]): Promise<BrowserContext> {
  const folder = await tempDir()
  const browser = await within(
    2 * DEADLINE_MS,
    'the browser starts',
    chromium.launchPersistentContext(folder, {
      executablePath: CHROMIUM,
      args: [...ARGS, ...flags],
      acceptDownloads: true,
      javaScriptEnabled: false,
    }),
  )
  onTestFinished(() => browser.close())
  browser.setDefaultTimeout(DEADLINE_MS)
  return browser
}

/** A site of somebody's own, whose one page is a form that goes to `action`. */
async function startForm(action: string): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' })
    response.end(
      `<!doctype html><title>Send</title><form method="post" enctype="multipart/form-data" action="${action}">` +
        '<input type="file" name="file"><button>Send</button></form>',
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`
}

async function reserve(server: ServerHere, name: string): Promise<{ url: string; upload: string }> {
  const curl = await runCurl(['-fX', 'POST', `${server.url}/reserve?filename=${encodeURIComponent(name)}`])
  const [url = '', upload = ''] = (await curl.ended()).stdout.toString().split('\n')
  return { url, upload }
}

/** Downloads by the button of the page that is open, and gives the file's name and hash. */
async function download(page: Page): Promise<{ name: string; hash: string }> {
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button').click()])
  const path = await within(DEADLINE_MS, 'the download ends', file.path())
  return { name: file.suggestedFilename(), hash: sha256(await readFile(path)) }
}

async function submit(page: Page, file: string): Promise<void> {
  await page.locator('input[type=file]').setInputFiles(file)
  // The answer to a form comes when the file was received, so nothing here waits for a navigation.
  await page.getByRole('button', { name: 'Send' }).click({ noWaitAfter: true })
}

describe('a real browser without scripts', () => {
  test('sends a form to a reservation, and another tab receives it', async () => {
    const server = await startServerHere('--reservations')
    const browser = await startBrowser()
    const file = join(await tempDir(), 'an ångström.bin')
    const hash = await writeFileOf(file, SIZE)
    const { url, upload } = await reserve(server, basename(file))
    const sending = await browser.newPage()
    await sending.goto(await startForm(upload))

    const receiving = await browser.newPage()
    await receiving.goto(url)
    expect(await receiving.locator('h1').textContent()).toBe(basename(file))
    expect(await receiving.locator('main').textContent()).toContain('The sender has not started yet')

    await submit(sending, file)
    await until('the page says that the sender is there', async () => {
      await receiving.reload()
      return !(await receiving.locator('main').textContent())?.includes('has not started yet')
    })
    expect(await receiving.locator('main').textContent()).toContain('3.0 MB')
    expect(await download(receiving)).toEqual({ name: basename(file), hash })
    await sending.getByText(`delivered: ${SIZE} bytes`).waitFor()
  })

  test('sends a form straight to the server, and reads the link while it waits', async () => {
    const server = await startServerHere()
    const browser = await startBrowser()
    const file = join(await tempDir(), 'report.bin')
    const hash = await writeFileOf(file, SIZE)
    const sending = await browser.newPage()
    await sending.goto(await startForm(`${server.url}/`))
    await submit(sending, file)
    const line = await sending.getByText(/^http\S+\/report\.bin/).textContent()
    const [url = ''] = /^http\S+/.exec(line ?? '') ?? []

    const receiving = await browser.newPage()
    await receiving.goto(url)
    expect(await receiving.locator('main').textContent()).toContain('3.0 MB')
    expect(await download(receiving)).toEqual({ name: 'report.bin', hash })
    await sending.getByText(`# delivered: ${SIZE} bytes`).waitFor()
  })

  test('opens a link as often as a person likes, and the bytes are still there for the button', async () => {
    const server = await startServerHere()
    const browser = await startBrowser()
    const shown = `it's <b>bold & "quoted".html`
    const path = join(await tempDir(), 'sent')
    const hash = await writeFileOf(path, SIZE)
    const sender = await runCurl([
      '-X',
      'PUT',
      '-H',
      'Content-Type: text/html',
      '--data-binary',
      `@${path}`,
      `${server.url}/?filename=${encodeURIComponent(shown)}`,
    ])
    const [url = ''] = await sender.untilStdout(/^http\S+/)
    const page = await browser.newPage()
    for (const _visit of [1, 2]) {
      await page.goto(url)
      expect(await page.locator('h1').textContent()).toBe(shown)
      expect(await page.locator('main').textContent()).toContain('3.0 MB')
    }
    // Within the quotes of a shell. The link itself needs none.
    const inQuotes = shown.replaceAll("'", `'\\''`)
    const [curl, npx] = await page.locator('pre').allTextContents()
    expect(curl).toBe(`curl -fo '${inQuotes}' '${url}'`)
    expect(npx).toMatch(/^npx http\S+\.tgz get http[\w./:~%-]+$/)
    expect(url).toContain('%27')
    const { hash: received } = await download(page)
    expect(received).toBe(hash)
    expect((await sender.ended()).code).toBe(0)
    await page.goto(url)
    expect(await page.locator('main').textContent()).toContain('used')
  })

  // Chromium says Sec-Fetch-Site to addresses that it trusts: to HTTPS, and to this machine by its own names.
  test.each([
    ['by Sec-Fetch-Site', '127.0.0.1'],
    ['by Origin, over plain HTTP', 'send.test'],
  ])(
    "cannot be made to use up a link by another site's form, and its own button can: %s",
    async (_how, host) => {
      const server = await startServerHere()
      const browser = await startBrowser('--host-resolver-rules=MAP *.test 127.0.0.1')
      const sender = await runCurl(['-T', '-', `${server.url}/f`], { stdin: 'hello' })
      const [printed = ''] = await sender.untilStdout(/^http\S+/)
      const url = printed.replace('127.0.0.1', host)
      const page = await browser.newPage()
      await page.goto((await startForm(url)).replace('127.0.0.1', 'evil.test'))
      await page.getByRole('button', { name: 'Send' }).click()
      await page.getByText("Another site's page may not do this").waitFor()
      await page.goto(url)
      expect(await download(page)).toMatchObject({ hash: sha256(Buffer.from('hello')) })
      expect((await sender.ended()).code).toBe(0)
    },
  )

  test('asks a person for the token of a closed circle, and then receives', async () => {
    const token = 'a-token-of-a-closed-circle'
    const tokens = join(await tempDir(), 'tokens')
    await writeFile(tokens, token, { mode: 0o600 })
    const server = await startServerHere('--receive-tokens', tokens)
    const folder = await tempDir()
    const browser = await within(
      2 * DEADLINE_MS,
      'the browser starts',
      chromium.launchPersistentContext(folder, {
        executablePath: CHROMIUM,
        args: ARGS,
        acceptDownloads: true,
        javaScriptEnabled: false,
        // Only after a 401, as a person would type it.
        httpCredentials: { username: 'anybody', password: token, send: 'unauthorized' },
      }),
    )
    onTestFinished(() => browser.close())
    const sender = await runCurl(['-T', '-', `${server.url}/f`], { stdin: 'hello' })
    const [url = ''] = await sender.untilStdout(/^http\S+/)
    const page = await browser.newPage()
    await page.goto(url)
    expect(await download(page)).toMatchObject({ hash: sha256(Buffer.from('hello')) })
    expect((await sender.ended()).code).toBe(0)
  })

  test('uses HTTP/2 where there is TLS, for the page and for a download that arrives whole', async (context) => {
    needs(context, 'openssl')
    const pair = await certificate()
    const server = await startServerHere('--tls-cert', pair.path, '--tls-key', pair.keyPath)
    const browser = await startBrowser('--ignore-certificate-errors')
    const path = join(await tempDir(), 'sent')
    const hash = await writeFileOf(path, SIZE)
    const sender = await runCurl(['-k', '-T', path, `${server.url}/report.bin`])
    const [url = ''] = await sender.untilStdout(/^https\S+/)
    const page = await browser.newPage()
    await page.goto(url)
    // As text, for the same reason as below.
    expect(await page.evaluate(`performance.getEntriesByType('navigation')[0].nextHopProtocol`)).toBe('h2')
    expect(await download(page)).toEqual({ name: 'report.bin', hash })
    const ended = await sender.ended()
    expect(ended.code).toBe(0)
    expect(ended.stdout.toString()).toMatch(/# delivered: 3000017 bytes\n$/)

    const second = await runCurl(['-k', '-T', path, `${server.url}/report.bin`])
    const [fetched = ''] = await second.untilStdout(/^https\S+/)
    // The page of a link may fetch nothing.
    await page.goto(`${server.url}/health`)
    const seen: unknown = await page.evaluate(
      `fetch('${fetched}', { method: 'POST' }).then(async (response) => {
        const bytes = await response.arrayBuffer()
        const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
        const [entry] = performance.getEntriesByName('${fetched}')
        return [entry.nextHopProtocol, [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')]
      })`,
    )
    expect(seen).toEqual(['h2', hash])
    expect((await second.ended()).code).toBe(0)
  })

  test.each(['light', 'dark'] as const)('sees all of the page on a phone, in %s', async (colorScheme) => {
    const server = await startServerHere()
    const browser = await startBrowser()
    const name = `${'a-long-name-without-any-space'.repeat(4)}.tar.gz`
    const sender = await runCurl(['-T', '-', `${server.url}/${name}`], { stdin: 'hello' })
    const [url = ''] = await sender.untilStdout(/^http\S+/)
    const page = await browser.newPage()
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width: 360, height: 640 })
    await page.goto(url)
    // As text, because it runs in the page, whose types this project does not have.
    const seen: unknown = await page.evaluate(
      `(() => {
        const { color, backgroundColor } = getComputedStyle(document.body)
        const width = document.documentElement.scrollWidth
        return { width, color, backgroundColor }
      })()`,
    )
    const { width, color, backgroundColor } = seen as Record<'color' | 'backgroundColor', string> & {
      width: number
    } // What the text above gives.
    expect(width).toBeLessThanOrEqual(360)
    expect(luminance(backgroundColor) < luminance(color)).toBe(colorScheme === 'dark')
  })
})

/** How light a computed colour is, from 0 to 255. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = (colour.match(/[\d.]+/g) ?? []).map(Number)
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
