import { readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bytesOf, sha256OfFile, writeFileOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { FOLDER_NAME, filesIn, getByEss, lineWith, makeFolder, paste } from '../../helpers/page-peers.js'
import { runEss } from '../../helpers/run-ess.js'
import { openInChromium, openInFirefox } from '../../helpers/send-page.js'
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
    const { folder } = await paste(await lineWith(page, 'age'), link)
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

test.for(BROWSERS)(
  'a folder that is chosen in %s is received by ess',
  async ([_browser, open, program], context) => {
    needs(context, program)
    const server = await startServerHere('--resume-within', '120')
    const page = await open(server.url)
    const { path, hashes } = await makeFolder()
    await page.chooseFolder(path)
    await page.untilShows(new RegExp(FOLDER_NAME))
    await page.press('Send')
    expect(await filesIn(join(await getByEss(await page.link()), FOLDER_NAME))).toEqual(hashes)
    await page.untilShows(/^Delivered$/m)
  },
)

test('a folder that is chosen or dropped is received by the line for curl, age and tar', async (context) => {
  needs(context, 'chromium', 'curl', 'age', 'tar')
  const server = await startServerHere('--resume-within', '120')
  const page = await openInChromium(server.url)
  const { path, hashes } = await makeFolder()
  for (const how of ['age', 'curl']) {
    if (how === 'age') await page.drop([path])
    else await page.chooseFolder(path)
    await page.untilShows(new RegExp(FOLDER_NAME))
    if (how === 'curl') await page.unseal()
    await page.press('Send')
    const { folder } = await paste(await lineWith(page, how), await page.link())
    expect(await filesIn(join(folder, FOLDER_NAME))).toEqual(hashes)
    // Only a drop tells of a folder in which there is nothing.
    expect((await readdir(join(folder, FOLDER_NAME))).includes('leer')).toBe(how === 'age')
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
