import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bytesOf, sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { run } from '../../helpers/run.js'
import { runEss } from '../../helpers/run-ess.js'
import { openInChromium, openInFirefox, type SendPage } from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'

const BROWSERS = [
  ['Chromium', openInChromium, 'chromium'],
  ['Firefox', openInFirefox, 'firefox-esr'],
] as const

const SIZES = [0, 1, 65_536, 1024 * 1024, 8 * 1024 * 1024 + 1]
const NAME = 'an ångström & a "quote".bin'
const LARGE = 300_000_000
const LARGE_MS = 240_000

/** Takes what is behind a link with `ess`, into a new folder. */
async function getByEss(link: string, ms?: number): Promise<string> {
  const cwd = await tempDir()
  const ess = await runEss(undefined, ['get', link, '-o', `${cwd}/`])
  const { code, stderr } = await ess.ended(ms)
  expect(stderr).not.toMatch(/error/i)
  expect(code).toBe(0)
  return cwd
}

/** Runs a line of the page in a shell, as a person pastes it, in a folder that has the key. */
async function paste(line: string, link: string): Promise<string> {
  const cwd = await tempDir()
  const [, key = ''] = link.split('#')
  await writeFile(join(cwd, 'key.txt'), `${key}\n`)
  const shell = await run(
    'bash',
    'bash',
    ['-o', 'pipefail', '-c', `curl() { command curl -sS "$@"; }; ${line}`],
    { cwd },
  )
  const { code, stderr } = await shell.ended()
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return cwd
}

/** The page's line that has this word. */
async function lineWith(page: SendPage, word: string): Promise<string> {
  await page.untilShows(/In a terminal/)
  const text = await page.lines()
  const line = text.find((one) => one.includes(word))
  expect(line, `a line with ${word} in ${text}`).toBeDefined()
  return line ?? ''
}

async function folderOf(): Promise<string> {
  const folder = join(await tempDir(), 'photos')
  await mkdir(join(folder, 'deep/er'), { recursive: true })
  await writeFile(join(folder, 'one.bin'), bytesOf(100_000, 3))
  await writeFile(join(folder, 'empty'), '')
  await writeFile(join(folder, 'deep/er', `${'ü'.repeat(70)}.txt`), bytesOf(513, 4))
  return folder
}

/** All files in a folder, by their paths. */
async function filesIn(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = names.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
  const pairs = files.map(async (path) => [path.slice(folder.length + 1), await sha256OfFile(path)] as const)
  return Object.fromEntries((await Promise.all(pairs)).sort())
}

describe.each(BROWSERS)('from %s', (_browser, open, program) => {
  test.for([
    ['sealed', ''],
    ['plain', 'not '],
  ] as const)('a file of any size is received by ess, %s', async ([how], context) => {
    needs(context, program)
    const server = await startServerHere('--resume-within', '120')
    const page = await open(server.url)
    for (const size of SIZES) {
      const path = join(await tempDir(), NAME)
      await writeFile(path, bytesOf(size))
      await page.chooseFiles([path])
      if (how === 'plain' && size === 0) await page.unseal()
      await page.press('Send')
      const folder = await getByEss(await page.link())
      expect(await readdir(folder)).toEqual([NAME])
      expect((await readFile(join(folder, NAME))).equals(bytesOf(size))).toBe(true)
      await page.untilShows(/^Delivered$/m)
      await page.press('Send something else')
    }
    expect(server.stderr()).not.toContain('ångström')
  })

  test('a sealed file is received by the line for curl and age', async (context) => {
    needs(context, program, 'curl', 'age')
    const server = await startServerHere('--resume-within', '120')
    const page = await open(server.url)
    const path = join(await tempDir(), NAME)
    await writeFile(path, bytesOf(1_000_000))
    await page.chooseFiles([path])
    await page.press('Send')
    const link = await page.link()
    const folder = await paste(await lineWith(page, 'age'), link)
    expect((await readFile(join(folder, NAME))).equals(bytesOf(1_000_000))).toBe(true)
    await page.untilShows(/^Delivered$/m)
  })

  test('several files go as one bundle', async (context) => {
    needs(context, program)
    const server = await startServerHere('--resume-within', '120')
    const page = await open(server.url)
    const from = await tempDir()
    const paths = ['a.txt', 'b.txt'].map((name) => join(from, name))
    for (const path of paths) await writeFile(path, basename(path))
    await page.chooseFiles(paths)
    await page.press('Send')
    const to = await getByEss(await page.link())
    expect(await filesIn(to)).toEqual(await filesIn(from))
    await page.untilShows(/^Delivered$/m)
  })

  test('a text is printed by ess, sealed and plain', async (context) => {
    needs(context, program)
    const server = await startServerHere('--resume-within', '120')
    const page = await open(server.url)
    const text = 'zwölf Boxkämpfer\njagen 🦊 quer\n'
    for (const how of ['sealed', 'plain']) {
      await page.type(text)
      if (how === 'plain') await page.unseal()
      await page.press('Send')
      const ess = await runEss(undefined, ['get', await page.link()])
      const { code, stdout } = await ess.ended()
      expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: text })
      await page.untilShows(/^Delivered$/m)
      await page.press('Send something else')
    }
  })
})

test('a folder that is chosen or dropped is received by ess, and by the line for curl, age and tar', async (context) => {
  needs(context, 'chromium', 'curl', 'age', 'tar')
  const server = await startServerHere('--resume-within', '120')
  const page = await openInChromium(server.url)
  const folder = await folderOf()
  for (const how of ['ess', 'age', 'curl']) {
    if (how === 'age') await page.drop([folder])
    else await page.chooseFolder(folder)
    await page.untilShows(/photos/)
    if (how === 'curl') await page.unseal()
    await page.press('Send')
    const link = await page.link()
    const to = how === 'ess' ? await getByEss(link) : await paste(await lineWith(page, how), link)
    expect(await filesIn(join(to, 'photos'))).toEqual(await filesIn(folder))
    await page.untilShows(/^Delivered$/m)
    await page.press('Send something else')
  }
})

test('300 MB go from Chromium, sealed', { timeout: 2 * LARGE_MS }, async (context) => {
  needs(context, 'chromium')
  const server = await startServerHere('--resume-within', '120')
  const page = await openInChromium(server.url)
  const path = join(await tempDir(), 'large.bin')
  const hash = await writeFileOf(path, LARGE)
  await page.chooseFiles([path])
  await page.press('Send')
  const folder = await getByEss(await page.link(), LARGE_MS)
  expect(await sha256OfFile(join(folder, 'large.bin'))).toBe(hash)
  await page.untilShows(/^Delivered$/m)
})
