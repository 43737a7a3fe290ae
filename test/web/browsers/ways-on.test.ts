import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { COMMON } from '../../../shared/page-words.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { SENDING } from '../../../shared/page-words-sending.js'
import { SHELLS } from '../../../shared/page-words-shells.js'
import { bytesOf } from '../../helpers/bytes.js'
import { startChromium } from '../../helpers/chromium.js'
import { needs } from '../../helpers/needs.js'
import { newFile } from '../../helpers/page-offers.js'
import { sparseFile } from '../../helpers/peers.js'
import { pickedFiles } from '../../helpers/picked-files.js'
import { openInFirefox, openInTab as openLink } from '../../helpers/receive-page.js'
import { runCurl } from '../../helpers/run-curl.js'
import { runEss } from '../../helpers/run-ess.js'
import { openInTab as openToSend } from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tarOf } from '../../helpers/tar.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

/*
 * Where a page can't do what a person wants: it says why, what to do next, and what has become of the link.
 */

beforeEach((context) => needs(context, 'chromium', 'curl'))

const RESUMABLE = ['--resume-within', '60'] as const
const LINK = /https?:\/\/\S+/
/** A name that is not this machine's to a browser: over plain HTTP, that is no secure context. */
const TO_OTHER_MACHINE = '--host-resolver-rules=MAP *.test 127.0.0.1'

async function sendByEss(url: string, ...args: readonly string[]) {
  const ess = await runEss(url, ['send', ...args])
  const [link = ''] = await ess.untilStdout(LINK)
  return { ess, link }
}

test('what a browser can’t save over plain HTTP says so, and leads back', async () => {
  const server = await startServerHere(...RESUMABLE)
  const { link } = await sendByEss(server.url, '--encrypt', await sparseFile(600_000_000))
  const browser = await startChromium(TO_OTHER_MACHINE)
  const page = await openLink(browser, link.replace('127.0.0.1', 'send.test'), 'no pickers')
  await page.press(RECEIVING.save)
  await page.untilShows(/came over plain HTTP, by which a browser can’t save more than 512\.0 MB/)
  await page.press(RECEIVING.back)
  await page.press(RECEIVING.save)
  await page.untilShows(/Nothing is used up/)
  expect((await fetch(link.split('#', 1)[0] ?? '', { method: 'HEAD' })).status).toBe(200)
})

test('a link that took the end of a sentence along opens, and a damaged key is called damaged alone', async () => {
  const server = await startServerHere(...RESUMABLE)
  const { link } = await sendByEss(server.url, '--encrypt', await newFile(bytesOf(1000)))
  const browser = await startChromium()
  for (const end of [').', ',', '>', '%20']) {
    const page = await openLink(browser, link + end, 'pickers')
    await page.untilShows(/^report\.bin$/m)
    await page.close()
  }
  const [, one = ''] = /(.)$/.exec(link) ?? []
  const damaged = await openLink(browser, link.slice(0, -1) + (one === 'Q' ? 'P' : 'Q'), 'pickers')
  await damaged.untilShows(RECEIVING.cutKey)
  expect(await damaged.text()).not.toContain(RECEIVING.noKey)
})

test('a token that no server can have is refused as any other', async () => {
  const file = join(await tempDir(), 'tokens')
  await writeFile(file, 'a-token-that-is-long-enough\n', { mode: 0o600 })
  const server = await startServerHere(...RESUMABLE, '--send-tokens', file)
  const page = await openToSend(await startChromium(), server.url)
  await page.chooseFiles([await newFile(bytesOf(10))])
  for (const token of ['tökén-that-is-long-enough ✓', 'a token that is long enough', 'tökén'])
    for (const wrong of [token, 'another-token-that-is-long-enough']) {
      await page.typeToken(wrong)
      await page.press(SENDING.send)
      await page.untilShows(new RegExp(SENDING.tokenRefused.replaceAll('.', '\\.')))
    }
  expect(await page.text()).not.toContain(COMMON.unreachable)
  await page.typeToken('a-token-that-is-long-enough')
  await page.press(SENDING.send)
  await page.link()
})

test('a folder keeps its size, from the form to the end', async () => {
  const server = await startServerHere(...RESUMABLE)
  const folder = join(await tempDir(), 'many')
  await mkdir(folder)
  for (let count = 0; count < 40; count++) await writeFile(join(folder, `${count}.txt`), bytesOf(25))
  const page = await openToSend(await startChromium(), server.url)
  await page.chooseFolder(folder)
  await page.untilShows(/40 files, 1\.0 kB/)
  await page.press(SENDING.send)
  const link = await page.link()
  await page.untilShows(/^many · 1\.0 kB$/m)
  await (await runEss(undefined, ['get', link, '-o', `${await tempDir()}/`])).ended()
  await page.untilShows(/^Delivered$\n+^many · 1\.0 kB$/m)
})

test('a folder with less in it than its sender announced is not passed over', async () => {
  const server = await startServerHere(...RESUMABLE)
  const path = join(await tempDir(), 'd.tar')
  await writeFile(path, tarOf({ name: 'd/', type: '5' }, { name: 'd/a', content: 'x' }))
  const sender = await runCurl(['-T', path, '-H', 'Ess-Bundle: tar;entries=5', `${server.url}/`])
  const [link = ''] = await sender.untilStdout(LINK)
  const page = await openLink(await startChromium(), link, 'pickers')
  await page.press(RECEIVING.saveFolder)
  await page.untilShows(RECEIVING.fewer(2, 5))
})

test('who cancels while the disk is behind has no file, and the sender is told', async () => {
  const server = await startServerHere(...RESUMABLE)
  const { ess, link } = await sendByEss(server.url, '--encrypt', await newFile(bytesOf(300_000)))
  const page = await openLink(await startChromium(), link, 'pickers')
  await page.page.evaluate(`{
    const { write } = FileSystemWritableFileStream.prototype
    FileSystemWritableFileStream.prototype.write = async function (bytes) {
      await new Promise((resolve) => (window.letGo = resolve))
      return await write.call(this, bytes)
    }
  }`)
  await page.press(RECEIVING.save)
  await until('the last byte waits for the disk', () => page.page.evaluate("'letGo' in window"))
  await page.press(COMMON.cancel)
  await page.page.evaluate('window.letGo()')
  await page.untilShows(RECEIVING.stopped)
  expect(await pickedFiles(page.page)).toEqual({})
  expect((await ess.ended()).code).toBe(5)
})

test('a plain file that the browser downloads is not offered again', async (context) => {
  needs(context, 'firefox-esr')
  const server = await startServerHere(...RESUMABLE)
  const path = await newFile(bytesOf(100_000))
  const browser = await startChromium()
  const opens = [(link: string) => openLink(browser, link, 'no pickers'), openInFirefox] as const
  for (const open of opens) {
    const { ess, link } = await sendByEss(server.url, '--no-encrypt', path)
    const page = await open(link)
    await page.press(SHELLS.download)
    await page.untilShows(RECEIVING.byBrowser)
    expect((await page.download()).isWhole).toBe(true)
    expect((await ess.ended()).code).toBe(0)
    expect(await page.text()).not.toMatch(new RegExp(`^${SHELLS.download}$`, 'm'))
  }
})
