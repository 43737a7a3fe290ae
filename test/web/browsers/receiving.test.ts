import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { addLinks, FOLDER_NAME, filesIn, makeFolder } from '../../helpers/page-peers.js'
import { pickedFiles } from '../../helpers/picked-files.js'
import { openInChromium, openInFirefox, type ReceivePage } from '../../helpers/receive-page.js'
import { run } from '../../helpers/run.js'
import { runCurl } from '../../helpers/run-curl.js'
import { runEss } from '../../helpers/run-ess.js'
import { openInChromium as openSendPage } from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tarOf } from '../../helpers/tar.js'
import { tempDir } from '../../helpers/temp-dir.js'

beforeEach((context) => needs(context, 'chromium', 'firefox-esr'))

const LINK = /https?:\/\/\S+/
const NAME = 'ein Bericht & "mehr".pdf'
const LARGE = 300_000_000
const LARGE_MS = 240_000

/** Gives the hash of the file that the browser's own download has left. */
async function hashOfDownload(page: ReceivePage, ms?: number): Promise<string> {
  const { isWhole, path = '' } = await page.download(ms)
  expect(isWhole).toBe(true)
  return await sha256OfFile(path)
}

const WAYS = [
  [
    'Chromium, to the disk',
    async (link: string, ms: number) => {
      const page = await openInChromium(link, 'pickers')
      await page.press(RECEIVING.save)
      await page.untilShows(/Saved as ein Bericht/, ms)
      const [hash] = Object.values(await pickedFiles(page.page))
      return hash
    },
  ],
  [
    'Chromium, by its storage',
    async (link: string, ms: number) => {
      const page = await openInChromium(link)
      await page.press(RECEIVING.save)
      await page.untilShows(RECEIVING.savedToDownloads, ms)
      return await hashOfDownload(page, ms)
    },
  ],
  [
    'Chromium, in memory, over plain HTTP to another machine',
    async (link: string, ms: number) => {
      const page = await openInChromium(link.replace('127.0.0.1', 'send.test'))
      await page.press(RECEIVING.save)
      await page.untilShows(RECEIVING.savedToDownloads, ms)
      return await hashOfDownload(page, ms)
    },
  ],
  [
    'Firefox, by its storage',
    async (link: string, ms: number) => {
      const page = await openInFirefox(link)
      await page.press(RECEIVING.save)
      await page.untilShows(RECEIVING.savedToDownloads, ms)
      return await hashOfDownload(page, ms)
    },
  ],
] as const

describe.each(WAYS)('%s', (_name, receive) => {
  async function sendAndReceive(size: number, ms: number): Promise<void> {
    const server = await startServerHere()
    const path = join(await tempDir(), NAME)
    const hash = await writeFileOf(path, size)
    const sender = await runEss(server.url, ['send', '--encrypt', path])
    const [link = ''] = await sender.untilStdout(LINK)
    expect(await receive(link, ms)).toBe(hash)
    expect((await sender.ended()).code).toBe(0)
  }

  test.each([0, 1, 65_536, 65_537, 1024 * 1024])('saves a sealed file of %i bytes', async (size) => {
    await sendAndReceive(size, 60_000)
  })

  test('saves 300 MB', { timeout: LARGE_MS }, () => sendAndReceive(LARGE, LARGE_MS))
})

describe.each([
  ['sealed', ['--encrypt']],
  ['as it is', ['--no-encrypt']],
])('a folder, %s', (_how, flags) => {
  async function sendFolder() {
    const server = await startServerHere()
    const folder = await makeFolder()
    await addLinks(folder)
    const sender = await runEss(server.url, ['send', ...flags, folder.path])
    const [link = ''] = await sender.untilStdout(LINK)
    return { sender, link, hashes: folder.hashes }
  }

  test('is saved as a folder, and the page says what a browser can not make', async () => {
    const { sender, link, hashes } = await sendFolder()
    const page = await openInChromium(link, 'pickers')
    await page.untilShows(RECEIVING.entries(11))
    await page.press(RECEIVING.saveFolder)
    await page.untilShows(RECEIVING.savedToFolder(FOLDER_NAME))
    await page.untilShows(RECEIVING.leftOut(1))
    const under = (names: readonly [string, string][]) =>
      Object.fromEntries(names.map(([name, hash]) => [`picked/${FOLDER_NAME}/${name}`, hash]))
    expect(await pickedFiles(page.page)).toEqual({
      'picked/': '',
      ...under(['', 'leer/', 'in/', 'in/tief/'].map((name) => [name, ''])),
      ...under(Object.entries(hashes)),
      // Of two names of one file, each is a file of its own.
      ...under([['twin.bin', hashes['big.bin'] ?? '']]),
    })
    expect((await sender.ended()).code).toBe(0)
  })

  test.each([
    ['Chromium', openInChromium],
    ['Firefox', openInFirefox],
  ] as const)('is saved as a zip in %s', async (_browser, open) => {
    const { sender, link, hashes } = await sendFolder()
    const page = await open(link)
    await page.press(RECEIVING.saveZip)
    await page.untilShows(RECEIVING.savedToDownloads)
    // A zip has no second name of a file, and a browser makes no link in it.
    await page.untilShows(RECEIVING.leftOut(2))
    const { isWhole, path = '' } = await page.download()
    expect(isWhole).toBe(true)
    const unzipped = await tempDir()
    const unzip = await run('unzip', 'unzip', ['-q', path, '-d', unzipped])
    expect(await unzip.ended()).toMatchObject({ code: 0, stderr: '' })
    expect(await filesIn(join(unzipped, FOLDER_NAME))).toEqual(hashes)
    expect((await stat(join(unzipped, FOLDER_NAME, 'leer'))).isDirectory()).toBe(true)
    expect((await sender.ended()).code).toBe(0)
  })
})

describe.each([
  ['Chromium', openInChromium],
  ['Firefox', openInFirefox],
] as const)('a text in %s', (_browser, open) => {
  test.each([
    ['sealed', ['--encrypt']],
    ['as it is', ['--no-encrypt']],
  ])('is shown, %s', async (_how, flags) => {
    const server = await startServerHere()
    const sender = await runEss(server.url, ['send', ...flags, '--text', 'Grüße!\n<b>not bold</b>'])
    const [link = ''] = await sender.untilStdout(LINK)
    const page = await open(link)
    await page.press(RECEIVING.showText)
    await page.untilShows(/Grüße!\n<b>not bold<\/b>/)
    expect((await sender.ended()).code).toBe(0)
  })
})

test('a bundle that would leave its folder is refused, and nothing of it is kept', async (context) => {
  needs(context, 'curl')
  const server = await startServerHere()
  const path = join(await tempDir(), 'evil.tar')
  await writeFile(
    path,
    tarOf({ name: 'good.txt', content: 'good' }, { name: '../evil.txt', content: 'evil' }),
  )
  const sender = await runCurl(['-T', path, '-H', 'Ess-Bundle: tar;entries=2', `${server.url}/`])
  const [link = ''] = await sender.untilStdout(LINK)
  const page = await openInChromium(link, 'pickers')
  await page.press(RECEIVING.saveFolder)
  await page.untilShows(/not safe to unpack: .*leads out of its folder\. Nothing was kept/)
  expect(await pickedFiles(page.page)).toEqual({ 'picked/': '' })
})

test('from one page to another: what Chromium sends, Firefox receives', async () => {
  const server = await startServerHere()
  const path = join(await tempDir(), NAME)
  const hash = await writeFileOf(path, 3_000_001)
  const sender = await openSendPage(server.url)
  await sender.chooseFiles([path])
  await sender.press('Send')
  const page = await openInFirefox(await sender.link())
  await page.press(RECEIVING.save)
  await page.untilShows(RECEIVING.savedToDownloads)
  expect(await hashOfDownload(page)).toBe(hash)
  await sender.untilShows(/^Delivered$/m)
})
