import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import type { Program } from '../helpers/run.js'
import { runCurl } from '../helpers/run-curl.js'
import { type ServerHere, startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

const CHROMIUM = '/usr/bin/chromium'
const ARGS = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']

/** One for all, because it takes longest to start. */
let started: Promise<Browser> | undefined

beforeEach((context) => needs(context, 'chromium', 'curl'))
afterAll(async () => await (await started)?.close())

/** A person's browser: each with nothing of another one's in it. */
async function openBrowser(options: Parameters<Browser['newContext']>[0] = {}): Promise<BrowserContext> {
  started ??= chromium.launch({
    executablePath: CHROMIUM,
    chromiumSandbox: false,
    args: [...ARGS, '--host-resolver-rules=MAP *.test 127.0.0.1'],
  })
  const browser = await within(2 * DEADLINE_MS, 'the browser starts', started)
  // Without a screen it calls itself a robot, and robots are shown a page for everything.
  const [major] = browser.version().split('.')
  const userAgent = `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${major}.0.0.0 Safari/537.36`
  const context = await browser.newContext({ userAgent, ...options })
  onTestFinished(() => context.close())
  context.setDefaultTimeout(DEADLINE_MS)
  return context
}

interface Reply {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Somebody else's site, which answers everything with this. */
async function startSite({ headers, body }: Reply): Promise<string> {
  const server: Server = createServer((_request, response) => {
    response.writeHead(200, headers).end(Buffer.from(body, 'latin1'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return `http://evil.test:${typeof address === 'object' && address !== null ? address.port : 0}/`
}

function startPage(html: string): Promise<string> {
  return startSite({
    headers: { 'Content-Type': 'text/html' },
    body: `<!doctype html><title>quiet</title>${html}`,
  })
}

interface Sent {
  readonly sender: Program
  readonly url: string
  readonly path: string
}

async function send(
  server: ServerHere,
  name: string,
  type: string,
  text: string,
  ...args: string[]
): Promise<Sent> {
  const path = join(await tempDir(), 'file')
  await writeFile(path, text)
  const curl = ['-X', 'PUT', '-H', `Content-Type: ${type}`, '--data-binary', `@${path}`, ...args]
  const sender = await runCurl([...curl, `${server.url}/${name}`])
  const [url = ''] = await sender.untilStdout(/^http\S+/)
  return { sender, url, path: new URL(url).pathname }
}

/** Nothing has been used up: whoever asks properly gets it. */
async function expectThere(server: ServerHere, { sender, path }: Sent, text: string): Promise<void> {
  expect(await exchange(server.port, requestHead(`GET ${path}`))).toMatchObject({ status: 200, body: text })
  expect((await sender.ended()).code).toBe(0)
}

/** What says that it has run by the title of the page that it is in. */
const ACTIVE = [
  {
    name: 'page.html',
    type: 'text/html',
    text: `<!doctype html><title>quiet</title><script>document.title = 'ran'</script>`,
  },
  {
    name: 'drawing.svg',
    type: 'image/svg+xml',
    text: `<svg xmlns="http://www.w3.org/2000/svg"><title>quiet</title><script>document.querySelector('title').textContent = 'ran'</script></svg>`,
  },
  {
    name: 'page.xhtml',
    type: 'application/xhtml+xml',
    text: `<html xmlns="http://www.w3.org/1999/xhtml"><head><title>quiet</title><script>document.title = 'ran'</script></head></html>`,
  },
] as const
const SCRIPT = `document.title = 'ran'`

describe.each(ACTIVE)('$name with a script, which a person opens by its link,', ({ name, type, text }) => {
  test('is shown as a name and a button, and saved by that', async () => {
    const server = await startServerHere()
    const { sender, url } = await send(server, name, type, text)
    const page = await (await openBrowser()).newPage()
    await page.goto(url)
    expect(await page.locator('h1').textContent()).toBe(name)
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button').click()])
    expect(file.suggestedFilename()).toBe(name)
    expect(await readFile(await within(DEADLINE_MS, 'the download ends', file.path()), 'utf8')).toBe(text)
    expect(page.url()).toBe(url)
    expect(await page.title()).toBe(name)
    expect((await sender.ended()).code).toBe(0)
  })

  test('would not run if it were not saved, by its type or in its sandbox', async () => {
    const server = await startServerHere()
    const { path, sender } = await send(server, name, type, text)
    const { headers, body } = await exchange(server.port, requestHead(`GET ${path}`))
    expect((await sender.ended()).code).toBe(0)
    const page = await (await openBrowser()).newPage()
    const titleOf = async (without: readonly string[], given: Readonly<Record<string, string>> = {}) => {
      const kept = Object.entries(headers).filter(([field]) => !without.includes(field))
      await page.goto(await startSite({ headers: { ...Object.fromEntries(kept), ...given }, body }))
      return await page.title()
    }
    const saved = 'content-disposition'
    const policy = 'content-security-policy'
    expect(await titleOf([saved, policy])).not.toBe('ran')
    expect(await titleOf([saved], { 'content-type': type })).toBe('quiet')
    // Without either it does, so that this is no test that cannot fail.
    expect(await titleOf([saved, policy], { 'content-type': type })).toBe('ran')
  })
})

test('a script that was sent runs on no page: neither sniffed, nor taken from another origin', async () => {
  const server = await startServerHere()
  const { path, sender } = await send(server, 'lib.js', 'text/javascript', SCRIPT)
  const { headers, body } = await exchange(server.port, requestHead(`GET ${path}`))
  expect((await sender.ended()).code).toBe(0)
  const page = await (await openBrowser()).newPage()
  const titleOf = async (...without: string[]) => {
    const kept = Object.fromEntries(Object.entries(headers).filter(([field]) => !without.includes(field)))
    const script = await startSite({ headers: kept, body })
    await page.goto(await startPage(`<script src="${script.replace('evil', 'files')}"></script>`))
    return await page.title()
  }
  const sniffed = 'x-content-type-options'
  const foreign = 'cross-origin-resource-policy'
  expect(await titleOf()).toBe('quiet')
  expect(await titleOf(sniffed)).toBe('quiet')
  expect(await titleOf(foreign)).toBe('quiet')
  // Without either it does, so that this is no test that cannot fail.
  expect(await titleOf(sniffed, foreign)).toBe('ran')
})

/** Each of them makes one request, which nobody has asked for. */
const EMBEDDED = {
  script: (url: string) => `<script src="${url}"></script>`,
  image: (url: string) => `<img src="${url}">`,
  style: (url: string) => `<link rel="stylesheet" href="${url}">`,
  video: (url: string) => `<video src="${url}" preload="auto"></video>`,
  audio: (url: string) => `<audio src="${url}" preload="auto"></audio>`,
  prefetch: (url: string) => `<link rel="prefetch" href="${url}">`,
  preload: (url: string) => `<link rel="preload" as="image" href="${url}">`,
} as const

test('a link that stands on a page of another site in the place of a part of it is not used up', async () => {
  const server = await startServerHere()
  const sent = await send(server, 'lib.js', 'text/javascript', SCRIPT)
  const page = await (await openBrowser()).newPage()
  // Of one and the same address a browser would make one request.
  const parts = Object.entries(EMBEDDED).map(([what, html]) => html(`${sent.url}?${what}`))
  await page.goto(await startPage(parts.join('')))
  await until('each of them is refused', () => {
    const refusals = server.stderr().match(/refused.*"code":"(?:cross-site|prefetch)"/g)
    return refusals?.length === parts.length
  })
  expect(await page.title()).toBe('quiet')
  await expectThere(server, sent, SCRIPT)
})

test("a link's page is shown in no frame of another site, where a click could be stolen", async () => {
  const server = await startServerHere()
  const sent = await send(server, 'f', 'text/plain', 'hello')
  const page = await (await openBrowser()).newPage()
  const frames = ['<iframe src="URL?1"></iframe>', '<object data="URL?2"></object>', '<embed src="URL?3">']
  const answered = Promise.all(
    frames.map((_frame, index) =>
      page.waitForResponse((response) => response.url() === `${sent.url}?${index + 1}`),
    ),
  )
  await page.goto(await startPage(frames.map((frame) => frame.replace('URL', sent.url)).join('')))
  // A link's page comes with 406, and a browser shows it all the same.
  for (const response of await answered) expect(response.status()).toBe(406)
  for (const frame of page.frames()) {
    // One that may not be shown may be gone.
    const buttons = await frame
      .locator('button')
      .count()
      .catch(() => 0)
    expect(buttons).toBe(0)
  }
  await expectThere(server, sent, 'hello')
})

/** A page that submits this form by itself as soon as it is there. */
function formOf(method: string, enctype: string, action: string): string {
  const file = `new File(['from elsewhere'], 'evil.txt')`
  return (
    `<form method="${method}" enctype="${enctype}" action="${action}"><input type="file" name="file"></form>` +
    `<script>const chosen = new DataTransfer(); chosen.items.add(${file});` +
    `document.querySelector('input').files = chosen.files; document.querySelector('form').submit()</script>`
  )
}

async function open(page: Page, url: string): Promise<void> {
  await page.goto(url, { waitUntil: 'commit' })
}

test("another site's GET form shows the link's page, and uses nothing up", async () => {
  const server = await startServerHere()
  const sent = await send(server, 'f', 'text/plain', 'hello')
  const page = await (await openBrowser()).newPage()
  await open(page, await startPage(formOf('get', '', sent.url)))
  await page.getByRole('button', { name: 'Download' }).waitFor()
  await expectThere(server, sent, 'hello')
})

// Chromium says Sec-Fetch-Site to addresses that it trusts, as this machine's own, and Origin to all.
test.each([
  ['multipart/form-data', '127.0.0.1'],
  ['text/plain', '127.0.0.1'],
  ['multipart/form-data', 'send.test'],
])(
  "another site's POST form of %s to %s neither uses up a link nor sends where origins are listed",
  async (enctype, host) => {
    const server = await startServerHere('--cors-origin', 'https://app.example.org', '--reservations')
    const sent = await send(server, 'f', 'text/plain', 'hello')
    const context = await openBrowser()
    for (const path of [sent.path, '/', '/reserve']) {
      const page = await context.newPage()
      const target = `http://${host}:${server.port}${path}`
      await open(page, await startPage(formOf('post', enctype, target)))
      await page.getByText("Another site's page may not do this").waitFor()
    }
    // The one of curl.
    expect(server.stderr().match(/: (?:opened|reserved) /g)).toHaveLength(1)
    await expectThere(server, sent, 'hello')
  },
)

test("another site's form cannot send by a password that the browser remembers", async () => {
  const token = 'a-token-that-is-remembered'
  const tokens = join(await tempDir(), 'tokens')
  await writeFile(tokens, token, { mode: 0o600 })
  const server = await startServerHere('--send-tokens', tokens, '--reservations')
  const credentials = { username: 'anybody', password: token, send: 'unauthorized' } as const
  const context = await openBrowser({ httpCredentials: credentials })
  const own = await context.newPage()
  // By the address bar it may: that is a person.
  await own.goto(`${server.url}/reserve`)
  expect(server.stderr().match(/: reserved /g)).toHaveLength(1)
  for (const path of ['/', '/reserve']) {
    const page = await context.newPage()
    await open(page, await startPage(formOf('post', 'multipart/form-data', `${server.url}${path}`)))
    await page.getByText("Another site's page may not do this").waitFor()
  }
  expect(server.stderr()).not.toMatch(/: opened /)
  expect(server.stderr().match(/: reserved /g)).toHaveLength(1)
})

test('a script that was sent cannot become the service worker of this origin, and is still there', async () => {
  const server = await startServerHere()
  const sent = await send(server, 'sw.js', 'text/javascript', 'self.onfetch = () => {}')
  const page = await (await openBrowser()).newPage()
  // A page of this origin which forbids itself nothing.
  await page.goto(`${server.url}/health`)
  // As text, because it runs in the page, whose types this project does not have.
  const failure: unknown = await page.evaluate(
    `navigator.serviceWorker.register('${sent.path}').then(() => 'registered', (error) => error.name)`,
  )
  expect(failure).toMatch(/^(?:SecurityError|TypeError)$/)
  await server.untilStderr(/refused.*"code":"prefetch"/)
  await expectThere(server, sent, 'self.onfetch = () => {}')
})
