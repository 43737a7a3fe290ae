import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { beforeEach, describe, expect, test } from 'vitest'
import { sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { startChromium, watchedPage } from '../../helpers/chromium-page.js'
import { needs } from '../../helpers/needs.js'
import { pickAsSuggested, pickedFiles, withoutPickers } from '../../helpers/picked-files.js'
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
