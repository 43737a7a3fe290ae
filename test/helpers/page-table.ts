import { basename, join } from 'node:path'
import { expect } from 'vitest'
import { makeIdentity, recipientOf } from '../../client/seal/age.js'
import { RECEIVING } from '../../shared/page-words-receiving.js'
import { SENDING } from '../../shared/page-words-sending.js'
import type { Browser, OpenedPage, SavingWay } from './browsers.js'
import { sha256OfFile, writeFileOf } from './bytes.js'
import type { Front } from './page-fronts.js'
import { addLinks, FOLDER_NAME, filesIn, getByEss, lineWith, makeFolder, paste } from './page-peers.js'
import { type Program, run } from './run.js'
import { runCurl } from './run-curl.js'
import { runEss } from './run-ess.js'
import { recordSecretsIn } from './suite-logs.js'
import { tempDir } from './temp-dir.js'

/*
 * What a page sends and receives, against a real `ess` or curl on the other side: bytes, names, verdicts and exit statuses.
 */

export const THINGS = ['a file', 'an empty file', 'a folder', 'a text'] as const
export type Thing = (typeof THINGS)[number]

/** The program on the other side; curl with age and tar where that is needed. */
export type OtherSide = 'ess' | 'curl'

/** One transfer from a page. */
export interface FromPage {
  readonly thing: Thing
  readonly isSealed: boolean
  readonly to: OtherSide
  /** Bytes of a file. Default: 1 MiB. */
  readonly size?: number
}

/** One transfer to a page. */
export interface ToPage {
  readonly thing: Thing
  readonly isSealed: boolean
  readonly from: OtherSide
  readonly way: SavingWay
  readonly size?: number
}

export const ALL_FROM_PAGE: readonly FromPage[] = THINGS.flatMap((thing) =>
  [true, false].flatMap((isSealed) => (['ess', 'curl'] as const).map((to) => ({ thing, isSealed, to }))),
)

/** In a browser that has these ways. Where the browser itself saves, or the page shows it, all ways are one. */
export function allToPage(ways: readonly SavingWay[]): readonly ToPage[] {
  const [best = 'memory'] = ways
  const byEss = THINGS.flatMap((thing) =>
    [true, false].flatMap((isSealed) => {
      const isOurs = thing === 'a folder' || (isSealed && thing !== 'a text')
      return (isOurs ? ways : [best]).map((way) => ({ thing, isSealed, from: 'ess' as const, way }))
    }),
  )
  const byCurl = [true, false].map((isSealed) => ({
    thing: 'a file' as const,
    isSealed,
    from: 'curl' as const,
    way: best,
  }))
  return [...byEss, ...byCurl]
}

const MIB = 1024 * 1024
const NAME = 'ein Bericht & größer.pdf'
const TEXT = 'Grüße!\n<b>zwölf</b> Boxkämpfer 🦊'
const LINK = /https?:\/\/\S+/
const VERDICT = new RegExp(`^(?:${SENDING.delivered}|${SENDING.unconfirmed})$`, 'm')
/** What a file of 300 MB takes at most on a machine that is busy. */
const LONG_MS = 240_000

/** A share of some cells: the `index`th of `count`, so that all shares together are all cells. */
export function shareOf<Cell>(cells: readonly Cell[], index: number, count: number): readonly Cell[] {
  return cells.filter((_cell, at) => at % count === index)
}

/** Runs a cell of the table, whose failure says which one it was. */
export async function inCell(
  front: string,
  cell: FromPage | ToPage,
  act: () => Promise<void>,
): Promise<void> {
  try {
    await act()
  } catch (error) {
    throw new Error(`${front}, ${JSON.stringify(cell)}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    })
  }
}

/** The page sends, and the other side has what was sent. */
export async function sendFromPage(browser: Browser, front: Front, cell: FromPage): Promise<void> {
  const { thing, isSealed, to } = cell
  const page = await browser.openToSend(front.url)
  const made = await make(cell)
  if (thing === 'a text') await page.type(TEXT)
  else if (thing === 'a folder') await page.chooseFolder(made.path)
  else await page.chooseFiles([made.path])
  if (!isSealed) await page.unseal()
  await page.press(SENDING.send)
  const link = await page.link()
  if (thing === 'a text' && to === 'ess') {
    const { code, stdout } = await (await runEss(undefined, ['get', link])).ended()
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 0, stdout: TEXT })
  } else if (to === 'ess') expect(await filesIn(await getByEss(link, LONG_MS))).toEqual(made.files)
  else {
    const { folder, stdout } = await paste(await lineWith(page, isSealed ? 'age' : 'curl'), link, LONG_MS)
    const { 'key.txt': _key, ...files } = await filesIn(folder)
    expect(files).toEqual(made.files)
    if (thing === 'a text') expect(stdout.toString()).toBe(TEXT)
  }
  await page.untilShows(VERDICT)
}

/** The other side sends, and the page has what was sent. */
export async function receiveInPage(browser: Browser, front: Front, cell: ToPage): Promise<void> {
  const { thing, isSealed, from, way } = cell
  const made = await make(cell)
  if (thing === 'a folder') await addLinks({ path: made.path, hashes: {} })
  const { link, delivered } = await (from === 'ess' ? sendByEss : sendByCurl)(front, made.path, cell)
  const page = await browser.openToReceive(link, way)
  if (thing === 'a text') {
    await page.press(RECEIVING.showText)
    await page.untilShows(TEXT)
  } else if (thing === 'a folder') await expectFolder(page, way, made.files)
  else if (isSealed) {
    await page.press(RECEIVING.save)
    await page.untilShows(/Every byte was checked/, LONG_MS)
    const files = way === 'picker' ? await page.picked() : await downloaded(page)
    if (from === 'ess') expect(files).toEqual(made.files)
    // What age and curl send has no name that a page could trust.
    else expect(Object.values(files)).toEqual(Object.values(made.files))
  } else if (front.hidesCuts && from === 'ess' && thing === 'an empty file') {
    // To ess it may still grow, so its length is not known.
    await page.press('Download')
    await page.untilShows('The size of this file is not known')
    expect(await filesIn(await getByEss(link))).toEqual(made.files)
  } else {
    // The browser does it by itself.
    await page.press('Download')
    expect(await downloaded(page)).toEqual(made.files)
  }
  await delivered()
}

interface Made {
  readonly path: string
  /** The SHA-256 of what must be there in the end. */
  readonly files: Readonly<Record<string, string>>
}

async function make({ thing, size = MIB }: FromPage | ToPage): Promise<Made> {
  if (thing === 'a text') return { path: '', files: {} }
  if (thing === 'a folder') {
    const { path, hashes } = await makeFolder()
    const files = Object.entries(hashes).map(([name, hash]) => [`${FOLDER_NAME}/${name}`, hash])
    return { path, files: Object.fromEntries(files) }
  }
  const path = join(await tempDir(), NAME)
  return { path, files: { [NAME]: await writeFileOf(path, thing === 'a file' ? size : 0) } }
}

interface Sending {
  readonly link: string
  /** Waits for the sender's exit status, which must be 0. */
  delivered(): Promise<void>
}

async function sendByEss({ url }: Front, path: string, { thing, isSealed }: ToPage): Promise<Sending> {
  const what = thing === 'a text' ? ['--text', TEXT] : [path]
  const sender = await runEss(url, ['send', isSealed ? '--encrypt' : '--no-encrypt', ...what])
  const [link = ''] = await sender.untilStdout(LINK)
  return { link, delivered: () => expectDelivered(sender) }
}

/** A file, sealed by age. */
async function sendByCurl({ url, reserves }: Front, path: string, { isSealed }: ToPage): Promise<Sending> {
  const identity = isSealed ? await makeIdentity() : ''
  recordSecretsIn(identity)
  const sent = isSealed ? await sealByAge(path, await recipientOf(identity)) : path
  const name = encodeURIComponent(basename(sent))
  if (!reserves) {
    const sender = await runCurl(['-fT', sent, `${url}/${name}`])
    const [link = ''] = await sender.untilStdout(LINK)
    return { link: `${link}#${identity}`, delivered: () => expectDelivered(sender) }
  }
  const reserved = await (await runCurl(['-fX', 'POST', `${url}/reserve?filename=${name}`])).ended()
  const [link = '', upload = ''] = reserved.stdout.toString().split('\n')
  const sender = await runCurl(['-fT', sent, upload])
  return { link: `${link}#${identity}`, delivered: () => expectDelivered(sender) }
}

async function sealByAge(path: string, recipient: string): Promise<string> {
  const sealed = join(await tempDir(), `${basename(path)}.age`)
  const age = await run('age', 'age', ['-r', recipient, '-o', sealed, path])
  expect((await age.ended(LONG_MS)).code).toBe(0)
  return sealed
}

async function expectDelivered(sender: Program): Promise<void> {
  const { code, stdout, stderr } = await sender.ended(LONG_MS)
  expect({ code }, `${stdout}${stderr}`).toEqual({ code: 0 })
}

async function expectFolder(
  page: OpenedPage,
  way: SavingWay,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  const twin = { [`${FOLDER_NAME}/twin.bin`]: files[`${FOLDER_NAME}/big.bin`] }
  if (way === 'picker') {
    await page.press(RECEIVING.saveFolder)
    await page.untilShows(RECEIVING.savedToFolder(FOLDER_NAME))
    // A page makes no links, but a second name of a file becomes a second file.
    await page.untilShows(RECEIVING.leftOut(1))
    const picked = Object.entries(await page.picked()).filter(([name]) => !name.endsWith('/'))
    const expected = Object.entries({ ...files, ...twin }).map(([name, hash]) => [`picked/${name}`, hash])
    expect(Object.fromEntries(picked)).toEqual(Object.fromEntries(expected))
    return
  }
  await page.press(RECEIVING.saveZip)
  await page.untilShows(/Every byte was checked/)
  // A zip has no second names.
  await page.untilShows(RECEIVING.leftOut(2))
  const { name, path } = await page.downloaded()
  expect(name).toBe(`${FOLDER_NAME}.zip`)
  const unzipped = await tempDir()
  const unzip = await run('unzip', 'unzip', ['-q', path, '-d', unzipped])
  expect(await unzip.ended()).toMatchObject({ code: 0, stderr: '' })
  expect(await filesIn(unzipped)).toEqual(files)
}

async function downloaded(page: OpenedPage): Promise<Record<string, string>> {
  const { name, path } = await page.downloaded(LONG_MS)
  return { [name]: await sha256OfFile(path) }
}
