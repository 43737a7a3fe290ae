import { mkdir, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { beforeEach, describe, expect, test } from 'vitest'
import { sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { startChromium, watchedPage } from '../../helpers/chromium-page.js'
import { needs } from '../../helpers/needs.js'
import { pickAsSuggested, pickedFiles, withoutPickers } from '../../helpers/picked-files.js'
import { run } from '../../helpers/run.js'
import { runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { within } from '../../helpers/within.js'

beforeEach((context) => needs(context, 'chromium'))

const LINK = /https?:\/\/\S+/
const LONG_MS = 120_000

/** Where a page gets its file saved, and what it says then. */
const WAYS = {
  'to the disk': {
    host: '127.0.0.1',
    prepare: pickAsSuggested,
    async save(page: Page, name: string) {
      await page.getByRole('button', { name: 'Save' }).click()
      await page.getByText(`Saved as ${name}. Every byte was checked.`).waitFor({ timeout: LONG_MS })
      return (await pickedFiles(page))[name]
    },
  },
  'by the service worker': {
    host: '127.0.0.1',
    prepare: withoutPickers,
    async save(page: Page, name: string) {
      const coming = page.waitForEvent('download')
      await page.getByRole('button', { name: 'Save' }).click()
      const download = await coming
      await page.getByText('It is among your browser').waitFor({ timeout: LONG_MS })
      expect(download.suggestedFilename()).toBe(name)
      return await sha256OfFile(await within(LONG_MS, 'the download ends', download.path()))
    },
  },
  'in memory, over plain HTTP to another machine': {
    host: 'send.test',
    prepare: withoutPickers,
    async save(page: Page, name: string) {
      const coming = page.waitForEvent('download', { timeout: LONG_MS })
      await page.getByRole('button', { name: 'Save' }).click()
      const download = await coming
      expect(download.suggestedFilename()).toBe(name)
      await page.getByText('Your browser has put it among its downloads').waitFor()
      return await sha256OfFile(await within(LONG_MS, 'the download ends', download.path()))
    },
  },
} as const

async function sendSealed(server: { url: string }, path: string, ...flags: readonly string[]) {
  const sender = await runEss(server.url, ['send', '--encrypt', ...flags, path])
  const [url = ''] = await sender.untilStdout(LINK)
  return { sender, url }
}

describe.each(Object.entries(WAYS))('%s', (_name, { host, prepare, save }) => {
  test.each([0, 1, 65_536, 65_537, 1024 * 1024])('a sealed file of %i bytes', async (size) => {
    const server = await startServerHere()
    const path = join(await tempDir(), 'ein Bericht.pdf')
    const hash = await writeFileOf(path, size)
    const { sender, url } = await sendSealed(server, path)
    const { page, messages } = await watchedPage(await startChromium())
    await prepare(page)
    await page.goto(url.replace('127.0.0.1', host))
    await page.getByRole('heading', { name: 'ein Bericht.pdf' }).waitFor()
    expect(await save(page, 'ein Bericht.pdf')).toBe(hash)
    expect((await sender.ended()).code).toBe(0)
    expect(messages).toEqual([])
    // The key opens nothing any more, so it need not stay on the screen.
    expect(await page.evaluate('location.hash')).toBe('')
  })
})

/** A folder with a name to be careful with, an empty file, an empty folder and a link. */
async function makeFolder(): Promise<{ readonly path: string; readonly hashes: Record<string, string> }> {
  const path = join(await tempDir(), 'Fotos 2026')
  await mkdir(join(path, 'leer'), { recursive: true })
  await mkdir(join(path, 'in', 'tief'), { recursive: true })
  const hashes = {
    'big.bin': await writeFileOf(join(path, 'big.bin'), 3_000_001),
    'in/tief/ä ü.txt': await writeFileOf(join(path, 'in', 'tief', 'ä ü.txt'), 1),
    'in/.hidden': await writeFileOf(join(path, 'in', '.hidden'), 70_000),
    nothing: await writeFileOf(join(path, 'nothing'), 0),
  }
  await symlink('big.bin', join(path, 'link'))
  return { path, hashes }
}

describe.each([
  ['sealed', ['--encrypt']],
  ['as it is', ['--no-encrypt']],
])('a folder, %s', (_how, flags) => {
  test('is saved as a folder, and the page says what a browser can not make', async () => {
    const server = await startServerHere()
    const { path, hashes } = await makeFolder()
    const sender = await runEss(server.url, ['send', ...flags, path])
    const [url = ''] = await sender.untilStdout(LINK)
    const { page, messages } = await watchedPage(await startChromium())
    await pickAsSuggested(page)
    await page.goto(url)
    await page.getByText('9 files and folders').waitFor()
    await page.getByRole('button', { name: 'Save as a folder' }).click()
    await page.getByText('Saved in the folder Fotos 2026. Every byte was checked.').waitFor()
    await page.getByText('1 link to other files could not be made').waitFor()
    const folders = Object.fromEntries(
      ['', 'leer/', 'in/', 'in/tief/'].map((name) => [`picked/Fotos 2026/${name}`, '']),
    )
    const files = Object.fromEntries(
      Object.entries(hashes).map(([name, hash]) => [`picked/Fotos 2026/${name}`, hash]),
    )
    expect(await pickedFiles(page)).toEqual({ 'picked/': '', ...folders, ...files })
    expect((await sender.ended()).code).toBe(0)
    expect(messages).toEqual([])
  })

  test('is saved as a zip', async (context) => {
    needs(context, 'python3')
    const server = await startServerHere()
    const { path, hashes } = await makeFolder()
    const sender = await runEss(server.url, ['send', ...flags, path])
    const [url = ''] = await sender.untilStdout(LINK)
    const { page, messages } = await watchedPage(await startChromium())
    await withoutPickers(page)
    await page.goto(url)
    const coming = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Save as a zip' }).click()
    const download = await coming
    await page.getByText('It is among your browser').waitFor()
    expect(download.suggestedFilename()).toBe('Fotos 2026.zip')
    const zip = await within(LONG_MS, 'the download ends', download.path())
    const unzipped = await tempDir()
    const unzip = await run('unzip', 'python3', ['-m', 'zipfile', '-e', zip, unzipped])
    expect(await unzip.ended()).toMatchObject({ code: 0 })
    for (const [name, hash] of Object.entries(hashes))
      expect(await sha256OfFile(join(unzipped, 'Fotos 2026', name)), name).toBe(hash)
    expect((await stat(join(unzipped, 'Fotos 2026', 'leer'))).isDirectory()).toBe(true)
    expect((await sender.ended()).code).toBe(0)
    expect(messages).toEqual([])
  })
})

test.each([
  ['sealed', ['--encrypt']],
  ['as it is', ['--no-encrypt']],
])('a text, %s, is shown', async (_how, flags) => {
  const server = await startServerHere()
  const text = 'Grüße!\n<b>not bold</b> '
  const sender = await runEss(server.url, ['send', ...flags, '--text', text])
  const [url = ''] = await sender.untilStdout(LINK)
  const { page, messages } = await watchedPage(await startChromium())
  await page.goto(url)
  await page.getByRole('button', { name: 'Show the text' }).click()
  await page.getByRole('button', { name: 'Copy' }).waitFor()
  expect(await page.locator('pre').textContent()).toBe(text)
  expect((await sender.ended()).code).toBe(0)
  expect(messages).toEqual([])
})
