import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BrowserContext, Page } from 'playwright-core'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { SHELLS } from '../../../shared/page-words-shells.js'
import { bytesOf, writeFileOf } from '../../helpers/bytes.js'
import { startChromium } from '../../helpers/chromium.js'
import { look, photo } from '../../helpers/look.js'
import { needs } from '../../helpers/needs.js'
import { sparseFile } from '../../helpers/peers.js'
import { pickAsSuggested, withoutPickers } from '../../helpers/picked-files.js'
import { runCurl } from '../../helpers/run-curl.js'
import { runEss } from '../../helpers/run-ess.js'
import { newKey } from '../../helpers/sealing.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy, type TcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until, within } from '../../helpers/within.js'

/*
 * Every state of the pages that a real server leads to, as a person sees it. With ESS_SCREENSHOTS=FOLDER in its environment,
 * this file is also the script that photographs them.
 */

beforeEach((context) => needs(context, 'chromium'))

const LINK = /https?:\/\/\S+/
/** Many looks in one test. */
const LONG_MS = 120_000
const LONG_NAME =
  'Protokoll-der-Mitgliederversammlung-2026-endgültige-Fassung-mit-Anlagen-und-Unterschriften.pdf'
/** A server of a test has no patience if it isn't told to. */
/** As long as a disk allows. */
const LONGEST_NAME = `${'Sitzungsprotokoll-'.repeat(13)}endgültig.pdf`
const ARABIC_NAME = 'تقرير الاجتماع السنوي 2026.pdf'
const HEBREW_TEXT = 'שלום! הקוד לדלת הוא 4711.\nRing twice.\n'
const RESUMABLE = ['--resume-within', '60']
const SIZE = 20_000_000
const SLOW: Parameters<TcpProxy['strike']>[0] = { kind: 'throttle', bytesPerSecond: 1_000_000 }
/** An insecure context: without pickers and storage. */
const TO_OTHER_MACHINE = '--host-resolver-rules=MAP *.test 127.0.0.1'
/** Fingers: no pointer hovers over anything. */
const BY_TOUCH =
  '--blink-settings=primaryHoverType=1,availableHoverTypes=1,primaryPointerType=2,availablePointerTypes=2'
const PHONE = '--user-agent=Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0'
/** Said by the browser itself, of requests that fail as they should. */
const OF_BROWSER = /^Failed to load resource: /

/** A page that must not say a word to the console, nor break its policy. */
async function newPage(browser: BrowserContext): Promise<Page> {
  const page = await browser.newPage()
  const said: string[] = []
  page.on('console', (message) => {
    if (!OF_BROWSER.test(message.text())) said.push(message.text())
  })
  page.on('pageerror', (error) => said.push(String(error)))
  onTestFinished(() => expect(said).toEqual([]))
  return page
}

async function proxyTo(port: number, own?: number): Promise<TcpProxy> {
  const proxy = await startTcpProxy(port, own)
  onTestFinished(() => proxy.close())
  return proxy
}

const at = ({ port }: { readonly port: number }) => `http://127.0.0.1:${port}`

async function fileOf(size: number, name = 'report.pdf'): Promise<string> {
  const path = join(await tempDir(), name)
  await writeFileOf(path, size)
  return path
}

const choose = (page: Page, ...paths: string[]) => page.setInputFiles('input[name=files]', paths)
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
const openTerminal = (page: Page) => page.locator('summary:visible').click()
const shows = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor()

/** Chooses a file, presses the button, and gives the link as a receiver behind `by` gets it. */
async function offer(page: Page, path: string, by: { readonly port: number }): Promise<string> {
  await choose(page, path)
  await press(page, 'Send')
  const link = new URL(await page.getByLabel('Link', { exact: true }).inputValue())
  link.port = String(by.port)
  return link.href
}

/** The person cancels the browser's own dialog, which asks for a name and a password. */
async function cancelDialogs(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page)
  session.on(
    'Fetch.requestPaused',
    ({ requestId }) => void session.send('Fetch.continueRequest', { requestId }),
  )
  session.on('Fetch.authRequired', ({ requestId }) => {
    const authChallengeResponse = { response: 'CancelAuth' } as const
    void session.send('Fetch.continueWithAuth', { requestId, authChallengeResponse })
  })
  await session.send('Fetch.enable', { handleAuthRequests: true })
}

async function getByEss(link: string) {
  return await runEss(undefined, ['get', link, '-o', join(await tempDir(), 'got')])
}

describe('the page that sends', { timeout: LONG_MS }, () => {
  test('chooses', async () => {
    const server = await startServerHere(...RESUMABLE)
    const page = await newPage(await startChromium())
    await page.goto(server.url)
    await shows(page, 'Choose files')
    await look(page, 'send start')
    await openTerminal(page)
    await look(page, 'send start terminal')
    await openTerminal(page)
    await page.getByRole('textbox').fill('The door code is 4711.')
    await look(page, 'send text')
    await page.getByRole('textbox').fill('')
    await choose(page, await fileOf(1_234_567, LONG_NAME))
    await look(page, 'send chosen')
    const folder = join(await tempDir(), 'Holiday photos')
    await mkdir(folder)
    await writeFile(join(folder, 'one.jpg'), bytesOf(4_000_000))
    await page.setInputFiles('input[name=folder]', folder)
    await choose(page, await fileOf(12, 'notes.txt'))
    await look(page, 'send chosen several')
    await page.getByRole('checkbox').uncheck()
    await shows(page, 'This server will be able to read it')
    await look(page, 'send not encrypted')
    await page.reload()
    await choose(page, await fileOf(2_000, LONGEST_NAME))
    await choose(page, await fileOf(2_000, ARABIC_NAME))
    await look(page, 'send chosen odd names')
  })

  test('is used by keys, by dropping, by fingers, while another one is told that nothing was confirmed', async () => {
    const server = await startServerHere(...RESUMABLE)
    const browser = await startChromium()
    const other = await newPage(browser)
    await other.goto(server.url)
    const receivers = await proxyTo(server.port)
    const link = await offer(other, await fileOf(10_000), receivers)
    const hole = receivers.arm({ kind: 'black-hole' }, 'down', 5_000)
    await getByEss(link)
    await within(LONG_MS, 'the hole', hole)
    const page = await newPage(browser)
    await page.goto(server.url)
    await shows(page, 'Choose files')
    for (const stop of ['files', 'folder', 'text', 'terminal']) {
      await page.keyboard.press('Tab')
      await look(page, `send start focus ${stop}`)
    }
    const session = await page.context().newCDPSession(page)
    const data = { items: [], files: [await fileOf(10)], dragOperationsMask: 1 }
    for (const type of ['dragEnter', 'dragOver'] as const)
      await session.send('Input.dispatchDragEvent', { type, x: 100, y: 250, data })
    await page.locator('.dropping').waitFor()
    await look(page, 'send dropping')
    const phone = await newPage(await startChromium(BY_TOUCH, PHONE))
    await phone.goto(server.url)
    await shows(phone, 'Choose files')
    expect(await phone.getByText('Choose a folder').isVisible()).toBe(false)
    expect(await phone.getByText('or drop them here').isVisible()).toBe(false)
    await look(phone, 'send start by touch')
    await other.bringToFront()
    await other.getByText('Sent, but not confirmed').waitFor({ timeout: 60_000 })
    await look(other, 'send unconfirmed')
  })

  test('is refused', async () => {
    const small = await startServerHere(
      '--max-upload-bytes',
      '1MB',
      '--max-sockets',
      '1',
      '--resume-within',
      '0',
    )
    const page = await newPage(await startChromium())
    await page.goto(small.url)
    await choose(page, await fileOf(1_500_000))
    await press(page, 'Send')
    await shows(page, 'this server takes at most 1.0 MB at a time')
    await look(page, 'send too large')
    await page.reload()
    const other = await runEss(small.url, ['send', await fileOf(10)])
    await other.untilStdout(LINK)
    await choose(page, await fileOf(10))
    await press(page, 'Send')
    await shows(page, 'it takes 1 transfer at a time')
    await look(page, 'send server full')
  })

  test('asks for a token', async () => {
    const file = join(await tempDir(), 'tokens')
    await writeFile(file, 'a-token-that-is-long-enough\n', { mode: 0o600 })
    const server = await startServerHere(...RESUMABLE, '--send-tokens', file)
    const page = await newPage(await startChromium())
    await page.goto(server.url)
    await choose(page, await fileOf(10))
    expect(await page.evaluate('document.activeElement.name'), 'the next step').toBe('token')
    await look(page, 'send token')
    await page.getByLabel('Token').fill('another-token-that-is-long-enough')
    await press(page, 'Send')
    await shows(page, 'This token is not right')
    await look(page, 'send token refused')
  })

  test('waits, is cut, goes on, delivers', async () => {
    const server = await startServerHere(...RESUMABLE)
    const first = await proxyTo(server.port)
    const page = await newPage(await startChromium())
    await page.goto(at(first))
    const receivers = await proxyTo(server.port)
    await receivers.strike(SLOW)
    const link = await offer(page, await fileOf(SIZE, LONG_NAME), receivers)
    await page.getByRole('img').waitFor()
    await page.getByLabel('Link', { exact: true }).focus()
    await look(page, 'send waiting focus')
    await page.getByRole('heading').focus()
    await look(page, 'send waiting')
    await openTerminal(page)
    await look(page, 'send waiting terminal')
    const ess = await getByEss(link)
    await shows(page, /MB of 20\.0 MB/)
    await shows(page, / left/)
    await look(page, 'send sending')
    await first.close()
    await shows(page, 'The server can’t be reached')
    await look(page, 'send offline')
    await proxyTo(server.port, first.port)
    await receivers.close()
    await shows(page, 'The other side has lost its connection')
    await look(page, 'send receiver away')
    await proxyTo(server.port, receivers.port)
    expect(await ess.ended(LONG_MS)).toMatchObject({ code: 0 })
    await shows(page, 'Delivered')
    await look(page, 'send delivered')
    await press(page, 'Send something else')
    await shows(page, 'Choose files')
  })

  test('is cancelled', async () => {
    const server = await startServerHere(...RESUMABLE)
    const page = await newPage(await startChromium())
    await page.goto(server.url)
    await offer(page, await fileOf(10), server)
    await press(page, 'Cancel')
    await shows(page, 'Cancelled')
    await look(page, 'send cancelled')
    await page.reload()
    await choose(page, await fileOf(2_000_000, ARABIC_NAME), await fileOf(10, LONGEST_NAME))
    await press(page, 'Remove '.concat(LONGEST_NAME))
    await page.getByRole('checkbox').uncheck()
    await press(page, 'Send')
    await page.getByRole('img').waitFor()
    await openTerminal(page)
    await look(page, 'send waiting not encrypted')
  })

  test('is told that nobody came, and that the server is away', async () => {
    const server = await startServerHere(...RESUMABLE, '--ttl', '2s')
    const page = await newPage(await startChromium())
    await page.goto(server.url)
    await offer(page, await fileOf(10), server)
    await shows(page, 'Not delivered')
    await look(page, 'send expired')
    await server.stop()
    await press(page, 'Send it again')
    await shows(page, 'The server can’t be reached')
    await look(page, 'send no server')
  })
})

describe('the page of a link', { timeout: LONG_MS }, () => {
  async function send(server: { url: string }, ...args: readonly string[]): Promise<string> {
    const ess = await runEss(server.url, ['send', ...args])
    const [url = ''] = await ess.untilStdout(LINK)
    return url
  }

  test('has a button for what is plain', async () => {
    const server = await startServerHere(...RESUMABLE)
    const page = await newPage(await startChromium())
    await page.goto(await send(server, '--no-encrypt', await fileOf(SIZE, LONG_NAME)))
    await shows(page, 'Download')
    await look(page, 'link plain')
    await openTerminal(page)
    await look(page, 'link plain terminal')
  })

  test('works without a script', async () => {
    const server = await startServerHere(...RESUMABLE)
    const sealed = await send(server, '--encrypt', await fileOf(SIZE))
    const page = await newPage(await startChromium('--blink-settings=scriptEnabled=false'))
    await page.goto(server.url)
    await shows(page, SHELLS.needsScript)
    await page.screenshot(photo('send without script'))
    await page.goto(sealed)
    await shows(page, 'Download it encrypted')
    await page.screenshot(photo('link without script'))
  })

  test('opens what is sealed, saves it, is cut, goes on', async () => {
    const server = await startServerHere(...RESUMABLE)
    const link = await send(server, '--encrypt', await fileOf(SIZE, LONG_NAME))
    const page = await newPage(await startChromium())
    await pickAsSuggested(page)
    const [whole = '', key = ''] = link.split('#')
    await page.goto(whole)
    await shows(page, 'your link has no key')
    await look(page, 'link no key')
    await page.getByRole('textbox').fill('AGE-SECRET-KEY-1')
    await press(page, 'Open')
    await page.getByRole('alert').waitFor()
    await look(page, 'link bad key')
    const { identity: other } = await newKey()
    await page.getByRole('textbox').fill(other)
    await press(page, 'Open')
    await shows(page, 'This key doesn’t open this file')
    await look(page, 'link wrong key')
    const proxy = await proxyTo(server.port)
    await page.goto(`${at(proxy)}${new URL(whole).pathname}#${key}`)
    await shows(page, 'Save')
    await look(page, 'link sealed')
    await page.keyboard.press('Tab')
    await look(page, 'link sealed focus')
    await proxy.strike(SLOW)
    await press(page, 'Save')
    await shows(page, /MB of 20\.0 MB/)
    await look(page, 'link saving')
    await proxy.close()
    await shows(page, 'The connection was cut')
    await look(page, 'link interrupted')
    await proxyTo(server.port, proxy.port)
    await page.getByText('Every byte was checked').waitFor({ timeout: 60_000 })
    await look(page, 'link saved')
  })

  test('asks for a password', async () => {
    const server = await startServerHere(...RESUMABLE)
    const password = join(await tempDir(), 'password')
    await writeFile(password, 'correct horse battery staple\n', { mode: 0o600 })
    const ess = await runEss(server.url, ['send', '--password', await fileOf(10)], {
      env: { ESS_PASSWORD_FILE: password },
    })
    const [link = ''] = await ess.untilStdout(LINK)
    const page = await newPage(await startChromium())
    await page.goto(link)
    await page.getByLabel('Password').waitFor()
    await look(page, 'link password')
    await page.getByLabel('Password').fill('wrong')
    await press(page, 'Open')
    await page.getByRole('alert').waitFor()
    await look(page, 'link wrong password')
  })

  test('lists a bundle', async () => {
    const server = await startServerHere(...RESUMABLE)
    const folder = join(await tempDir(), 'Holiday photos')
    await mkdir(folder)
    for (const name of ['one.jpg', 'two.jpg', LONG_NAME]) await writeFileOf(join(folder, name), 3_000_000)
    const link = await send(server, '--encrypt', folder)
    const page = await newPage(await startChromium())
    await pickAsSuggested(page)
    const proxy = await proxyTo(server.port)
    await page.goto(link.replace(`:${server.port}/`, `:${proxy.port}/`))
    await shows(page, 'Save as a folder')
    await look(page, 'link bundle')
    await proxy.strike(SLOW)
    await press(page, 'Save as a folder')
    await shows(page, 'two.jpg')
    await look(page, 'link bundle saving')
    await press(page, 'Cancel')
    await shows(page, 'Cancelled')
    await look(page, 'link cancelled')
  })

  test('shows a text', async () => {
    const server = await startServerHere(...RESUMABLE)
    const page = await newPage(await startChromium())
    await page.goto(await send(server, '--encrypt', '--text', 'The door code is 4711.\nRing twice.'))
    await shows(page, 'Show the text')
    await look(page, 'link text')
    await press(page, 'Show the text')
    await press(page, 'Copy')
    await look(page, 'link text shown')
  })

  test('saves from memory, and is told that the sender stopped', async () => {
    const server = await startServerHere(...RESUMABLE)
    const browser = await startChromium(TO_OTHER_MACHINE)
    const page = await newPage(browser)
    await withoutPickers(page)
    const link = await send(server, '--encrypt', await fileOf(100))
    await page.goto(link.replace('127.0.0.1', 'send.test'))
    await press(page, 'Save')
    await shows(page, 'Save it again')
    await look(page, 'link saved from memory')

    const other = await runEss(server.url, ['send', '--encrypt', await fileOf(SIZE)])
    const [url = ''] = await other.untilStdout(LINK)
    const proxy = await proxyTo(server.port)
    await page.goto(url.replace(`127.0.0.1:${server.port}`, `send.test:${proxy.port}`))
    await shows(page, 'Save')
    await proxy.strike(SLOW)
    await press(page, 'Save')
    await shows(page, /MB of 20\.0 MB/)
    other.kill('SIGINT')
    await shows(page, 'It broke off')
    await look(page, 'link broke off')
  })

  test('says what a phone can not save', async () => {
    const server = await startServerHere(...RESUMABLE)
    const link = await send(server, '--encrypt', await sparseFile(100_000_000))
    const page = await newPage(await startChromium(TO_OTHER_MACHINE, PHONE))
    await withoutPickers(page)
    await page.goto(link.replace('127.0.0.1', 'send.test'))
    await press(page, 'Save')
    await shows(page, 'a browser can’t save more than')
    await look(page, 'link too large')
  })

  test('says why there is nothing', async () => {
    const server = await startServerHere(...RESUMABLE)
    const page = await newPage(await startChromium())
    await page.goto(`${server.url}/abcdefghijkl`)
    await look(page, 'link not found')
    const link = await send(server, '--no-encrypt', await fileOf(10))
    await (await runCurl(['-sf', link])).ended()
    await page.goto(link)
    await look(page, 'link gone')
    const busy = await send(server, '--no-encrypt', await fileOf(SIZE))
    const proxy = await proxyTo(server.port)
    await proxy.strike(SLOW)
    await getByEss(busy.replace(`:${server.port}/`, `:${proxy.port}/`))
    await until('someone else has the file', async () => {
      await page.goto(busy)
      return await page.getByText('busy').isVisible()
    })
    await look(page, 'link busy')
    const tokens = join(await tempDir(), 'tokens')
    await writeFile(tokens, 'a-token-that-is-long-enough\n', { mode: 0o600 })
    const closed = await startServerHere('--receive-tokens', tokens)
    await cancelDialogs(page)
    await page.goto(await send(closed, await fileOf(10)))
    await shows(page, 'You need a valid token to receive here')
    await look(page, 'link token')
  })

  test('says what became of a link while its page was open', async () => {
    const server = await startServerHere(...RESUMABLE)
    const page = await newPage(await startChromium())
    await pickAsSuggested(page)
    const open = async (link: string, by: { readonly port: number } = server) => {
      // Another key alone would load no page.
      await page.goto('about:blank')
      await page.goto(link.replace(`:${server.port}/`, `:${by.port}/`))
      await page.getByRole('button', { name: 'Save' }).waitFor()
    }
    const used = await send(server, '--encrypt', await fileOf(10))
    await open(used)
    await (await getByEss(used)).ended()
    await press(page, 'Save')
    await shows(page, 'This link worked once and has been used')
    await look(page, 'link used meanwhile')

    const stopped = await runEss(server.url, ['send', '--encrypt', await fileOf(10)])
    const [left = ''] = await stopped.untilStdout(LINK)
    await open(left)
    stopped.kill('SIGINT')
    await stopped.ended()
    await press(page, 'Save')
    await shows(page, 'The sender stopped')
    await look(page, 'link stopped meanwhile')

    const busy = await send(server, '--encrypt', await fileOf(SIZE))
    const slow = await proxyTo(server.port)
    await slow.strike(SLOW)
    await open(busy)
    await getByEss(busy.replace(`:${server.port}/`, `:${slow.port}/`))
    await until(
      'someone else has the file',
      async () => (await fetch(busy, { method: 'HEAD' })).status === 409,
    )
    await press(page, 'Save')
    await shows(page, 'This file is being downloaded already')
    await look(page, 'link busy meanwhile')

    const changed = await proxyTo(server.port)
    await open(await send(server, '--encrypt', await fileOf(SIZE)), changed)
    const change = changed.arm({ kind: 'flip' }, 'down', 1_000_000)
    await press(page, 'Save')
    await within(LONG_MS, 'the change', change)
    await shows(page, 'What came is not what the sender encrypted')
    await look(page, 'link changed')

    const away = await proxyTo(server.port)
    const waits = await send(server, '--encrypt', await fileOf(10))
    await open(waits, away)
    await away.close()
    await press(page, 'Save')
    await shows(page, 'The connection was cut')
    await look(page, 'link no server')
    await press(page, 'Cancel')
    await page.goto('about:blank')
    await page.goto(waits.replace(/#.*$/, '#AGE-SECRET-KEY-1CUTOFF'))
    await shows(page, 'The key is cut off')
    await look(page, 'link cut key')
  })

  test('waits for a sender that has only reserved', async () => {
    const server = await startServerHere(...RESUMABLE, '--reservations')
    const answer = await fetch(`${server.url}/reserve`, { method: 'POST' })
    const [link = ''] = LINK.exec(await answer.text()) ?? []
    const page = await newPage(await startChromium())
    await page.goto(link)
    await shows(page, 'The sender has not started yet')
    await look(page, 'link not started')
  })

  test('has room for odd names, long texts, and folders of many files', async () => {
    const server = await startServerHere(...RESUMABLE)
    const page = await newPage(await startChromium())
    await pickAsSuggested(page)
    await page.goto(await send(server, '--no-encrypt', await fileOf(SIZE, LONGEST_NAME)))
    await shows(page, 'Download')
    await look(page, 'link longest name')
    const arabic = await send(server, '--encrypt', await fileOf(2_000_000, ARABIC_NAME))
    await page.goto(arabic)
    await press(page, 'Save')
    await shows(page, 'Every byte was checked')
    await look(page, 'link right to left saved')

    await page.goto(await send(server, '--encrypt', '--text', HEBREW_TEXT.repeat(40)))
    await press(page, 'Show the text')
    await shows(page, 'Ring twice')
    await look(page, 'link long text')

    const folder = join(await tempDir(), ARABIC_NAME.replace('.pdf', ''))
    await mkdir(folder)
    for (let count = 0; count < 300; count++)
      await writeFile(join(folder, `photo ${count}.jpg`), bytesOf(1_000))
    await writeFile(join(folder, LONGEST_NAME), bytesOf(1_000))
    await symlink('photo 1.jpg', join(folder, 'the best one.jpg'))
    const proxy = await proxyTo(server.port)
    const many = await send(server, '--encrypt', folder)
    await page.goto(many.replace(`:${server.port}/`, `:${proxy.port}/`))
    await shows(page, '303 items')
    await look(page, 'link many')
    await proxy.strike({ kind: 'throttle', bytesPerSecond: 150_000 })
    await press(page, 'Save as a folder')
    await shows(page, 'photo 200.jpg')
    await look(page, 'link many saving')
    await proxy.strike({ kind: 'throttle', bytesPerSecond: 50_000_000 })
    await page.getByText('1 link could not be made').waitFor({ timeout: 60_000 })
    await page.getByText('The links that were left out').click()
    await look(page, 'link many saved')
  })
})
