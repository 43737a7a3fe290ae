import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { chromium, type Page } from 'playwright-core'
import { describe, expect, onTestFinished, test } from 'vitest'
import { download } from '../../client/index.js'
import { needs } from '../helpers/needs.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { startTcpProxy } from '../helpers/tcp-proxy.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../helpers/within.js'

const SIZE = 5_000_000
const CUT_AT = 2_000_000
const TUS = new URL('../../node_modules/tus-js-client/dist/tus.min.js', import.meta.url)

/** A page of somebody's own that has the library and a file. */
async function openPage(content: Buffer): Promise<Page> {
  const files: Readonly<Record<string, string | Buffer>> = {
    '/': '<!doctype html><title>Send</title><script src="/tus.js"></script>',
    '/tus.js': await readFile(TUS),
    '/file': content,
  }
  const site = createServer(({ url = '' }, response) => {
    response.writeHead(url in files ? 200 : 404, url === '/' ? { 'Content-Type': 'text/html' } : {})
    response.end(files[url])
  })
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    site.closeAllConnections()
    site.close()
  })
  const browser = await within(
    2 * DEADLINE_MS,
    'the browser starts',
    chromium.launchPersistentContext(await tempDir(), {
      executablePath: '/usr/bin/chromium',
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'],
    }),
  )
  onTestFinished(() => browser.close())
  browser.setDefaultTimeout(DEADLINE_MS)
  const page = await browser.newPage()
  // A server that listens on TCP has this kind of address.
  await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`)
  return page
}

/** Sends the page's file; resolves with the offsets of its pieces when the library says that all is sent. */
const sendFrom = (page: Page, protocol: string, uploadUrl: string) =>
  page.evaluate(
    `fetch('/file').then((answer) => answer.blob()).then((file) => new Promise((resolve, reject) => {
      const offsets = []
      new tus.Upload(file, {
        protocol: ${JSON.stringify(protocol)},
        uploadUrl: ${JSON.stringify(uploadUrl)},
        retryDelays: [0, 100, 100],
        storeFingerprintForResuming: false,
        onBeforeRequest: (request) => {
          if (request.getMethod() === 'PATCH') offsets.push(Number(request.getHeader('Upload-Offset')))
        },
        onSuccess: () => resolve(offsets),
        onError: reject,
      }).start()
    }))`,
  )

describe.each(['ietf-draft-05', 'ietf-draft-03'])('a page of another origin, with %s', (protocol) => {
  test('sends 5 MB with tus-js-client through a cut at 2 MB', async (context) => {
    needs(context, 'chromium')
    const server = await startServerHere('--reservations', '--resume-within', '120')
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    const content = randomBytes(SIZE)
    const page = await openPage(content)
    const reserved = await fetch(`http://127.0.0.1:${proxy.port}/reserve`, { method: 'POST' })
    const [link = '', upload = ''] = (await reserved.text()).split('\n')
    const to = new PassThrough()
    const blocks: Buffer[] = []
    // Its memory is used again.
    to.on('data', (block: Buffer) => blocks.push(Buffer.from(block)))
    const receiving = download(`${server.url}${new URL(link).pathname}`, { to: { stream: to } })
    const cut = proxy.arm({ kind: 'rst' }, 'up', CUT_AT)
    const sending = sendFrom(page, protocol, upload)
    await within(DEADLINE_MS, 'the cut', cut)
    const offsets = await within(DEADLINE_MS, 'tus-js-client ends', sending)
    await within(DEADLINE_MS, 'the download', receiving)
    expect(Buffer.concat(blocks).equals(content)).toBe(true)
    expect(offsets).toEqual([0, expect.any(Number)])
    await server.untilStderr(/delivered/)
  })
})
