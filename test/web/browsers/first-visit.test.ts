import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { startChromium } from '../../helpers/chromium.js'
import { needs } from '../../helpers/needs.js'
import { runEss } from '../../helpers/run-ess.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'

beforeEach((context) => needs(context, 'chromium'))

/** More stops than any state of the page has. */
const MANY_STOPS = 20

async function newFile(): Promise<{ readonly path: string; readonly hash: string }> {
  const path = join(await tempDir(), 'report.pdf')
  return { path, hash: await writeFileOf(path, 1_000_000) }
}

async function openPage(): Promise<Page> {
  const server = await startServerHere('--resume-within', '60')
  const page = await (await startChromium()).newPage()
  const errors: string[] = []
  page.on('console', (message) => errors.push(message.text()))
  onTestFinished(() => expect(errors).toEqual([]))
  await page.goto(server.url)
  await page.getByText('Choose files').waitFor()
  return page
}

/** Takes the link with `ess`, and expects the file. */
async function expectReceived(page: Page, hash: string): Promise<void> {
  const link = await page.getByLabel('Link', { exact: true }).inputValue()
  const to = join(await tempDir(), 'got')
  const ess = await runEss(undefined, ['get', link, '-o', to])
  expect(await ess.ended()).toMatchObject({ code: 0 })
  expect(await sha256OfFile(to)).toBe(hash)
  await page.getByRole('heading', { name: 'Delivered' }).waitFor()
}

/** What has the focus, as a screen reader calls it. */
function focused(page: Page): Promise<unknown> {
  return page.evaluate(`(() => {
    const { activeElement: one } = document
    return one.labels?.[0]?.textContent ?? one.ariaLabel ?? one.textContent
  })()`)
}

/** Presses the tab key until this has the focus, and gives what had it on the way. */
async function tabTo(page: Page, name: string): Promise<unknown[]> {
  const passed: unknown[] = []
  while ((await focused(page)) !== name) {
    expect(passed.length, `${name} comes after ${passed}`).toBeLessThan(MANY_STOPS)
    await page.keyboard.press('Tab')
    passed.push(await focused(page))
  }
  return passed
}

test('two clicks send a file', async () => {
  const page = await openPage()
  const { path, hash } = await newFile()
  const choosing = page.waitForEvent('filechooser')
  await page.getByText('Choose files').click()
  await (await choosing).setFiles(path)
  await page.getByRole('button', { name: 'Send' }).click()
  await expectReceived(page, hash)
})

test('a keyboard alone sends a file', async () => {
  const page = await openPage()
  const { path, hash } = await newFile()
  // Early, because the browser has to be told not to open a dialog.
  const choosing = page.waitForEvent('filechooser')
  expect(await tabTo(page, 'Choose files')).toEqual(['Choose files'])
  await page.keyboard.press('Enter')
  await (await choosing).setFiles(path)
  // The next step has the focus.
  await expect.poll(() => focused(page)).toBe('Send')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Your link is ready' }).waitFor()
  expect(await tabTo(page, 'Copy the link')).toEqual(['Link', 'Copy the link'])
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.keyboard.press('Enter')
  await page
    .getByRole('status')
    .filter({ hasText: /^Copied$/ })
    .waitFor({ state: 'attached' })
  expect(await page.evaluate('navigator.clipboard.readText()')).toMatch(/#AGE-SECRET-KEY-1/)
  expect(await tabTo(page, 'Cancel')).toEqual(['Cancel'])
  await expectReceived(page, hash)
  // What had the focus is gone, so the news has it.
  await expect.poll(() => focused(page)).toBe('Delivered')
  expect(await tabTo(page, 'Send something else')).toEqual(['Send something else'])
  await page.keyboard.press('Enter')
  await expect.poll(() => focused(page)).toBe('Send files or text')
  expect(await page.title()).toBe('Send files or text')
})
