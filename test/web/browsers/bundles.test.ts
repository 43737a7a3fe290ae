import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { formatBytes } from '../../../shared/index.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { SHELLS } from '../../../shared/page-words-shells.js'
import { startChromium } from '../../helpers/chromium.js'
import { needs } from '../../helpers/needs.js'
import { filesIn, getByEss } from '../../helpers/page-peers.js'
import { pickedFiles } from '../../helpers/picked-files.js'
import { openInTab as openLink } from '../../helpers/receive-page.js'
import { run } from '../../helpers/run.js'
import { runEss } from '../../helpers/run-ess.js'
import { openInTab as openSendPage } from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { until } from '../../helpers/within.js'

beforeEach((context) => needs(context, 'chromium'))

const LINK = /https?:\/\/\S+/

/** Names that are everyday ones on some system, and that a browser, or another system, doesn't take. */
const ODD_NAMES = [
  ...['Thumbs.db', 'desktop.ini', 'app.lnk', 'site.url', 'x.scf', 'x.{a}', 'clock$', 'CON', 'com1.txt'],
  ...['name~', ' lead', 'trail. ', 'what?.txt', 'what:.txt', 'what_.txt', 'README', 'readme', '.hidden'],
  ...['two\nlines', 'a\u202egnp.exe', 'x'.repeat(255), RECEIVING.markerName],
]

/** A folder of such files, with a folder in it that has such a name too. */
async function makeOddFolder(): Promise<{ readonly path: string; readonly hashes: readonly string[] }> {
  const path = join(await tempDir(), 'odd~')
  await mkdir(join(path, 'deep?~'), { recursive: true })
  for (const name of ODD_NAMES) await writeFile(join(path, name), `content of ${name}`)
  await writeFile(join(path, 'deep?~', 'inner'), 'inner')
  return { path, hashes: Object.values(await filesIn(path)).sort() }
}

/**
 * The person picks a folder in which the same names are allowed as in one of their own. Chromium allows more in the page's own
 * folders, and a real one that is dropped can be looked at, but not be written to without a window.
 */
async function pickStrictly(page: Page, folder: string): Promise<void> {
  await page.evaluate(`
    addEventListener('dragover', (event) => event.preventDefault())
    addEventListener('drop', (event) => {
      event.preventDefault()
      window.dropped = event.dataTransfer.items[0].getAsFileSystemHandle()
    })`)
  const session = await page.context().newCDPSession(page)
  const data = { items: [], files: [folder], dragOperationsMask: 1 }
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const)
    await session.send('Input.dispatchDragEvent', { type, x: 100, y: 100, data })
  await until('the folder is dropped', () => page.evaluate("typeof dropped === 'object'"))
  await page.evaluate(`(async () => {
    const real = await dropped
    const prototype = FileSystemDirectoryHandle.prototype
    for (const method of ['getFileHandle', 'getDirectoryHandle']) {
      const own = prototype[method]
      prototype[method] = async function (name, options) {
        await own.call(real, name).catch((error) => {
          if (error.name !== 'NotFoundError') throw error
        })
        return await own.call(this, name, options)
      }
    }
  })()`)
}

test('a folder with names that the browser or other systems do not take is received whole', async () => {
  const server = await startServerHere()
  const { path, hashes } = await makeOddFolder()
  const browser = await startChromium()
  for (const choice of [RECEIVING.saveFolder, RECEIVING.saveZip]) {
    const sender = await runEss(server.url, ['send', '--encrypt', path])
    const [link = ''] = await sender.untilStdout(LINK)
    const isFolder = choice === RECEIVING.saveFolder
    const page = await openLink(browser, link, isFolder ? 'pickers' : 'no pickers')
    if (isFolder) await pickStrictly(page.page, await tempDir())
    await page.press(choice)
    await page.untilShows(/Every byte was checked/)
    await page.untilShows(RECEIVING.renamedList)
    const renamed = String(await page.page.evaluate("document.querySelector('details ul').textContent"))
    expect(renamed).toContain('what_ (2).txt')
    if (isFolder) {
      expect(renamed).toContain('Thumbs.db_')
      const files = await pickedFiles(page.page)
      expect(
        Object.values(files)
          .filter((hash) => hash !== '')
          .sort(),
      ).toEqual(hashes)
    } else {
      const { path: zip = '' } = await page.download()
      const listing = await run('unzip', 'unzip', ['-Z1', zip])
      const names = (await listing.ended()).stdout.toString().split('\n').slice(0, -1)
      expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(hashes.length + 2)
      const unzipped = await tempDir()
      expect((await (await run('unzip', 'unzip', ['-q', zip, '-d', unzipped])).ended()).code).toBe(0)
      expect(Object.values(await filesIn(unzipped)).sort()).toEqual(hashes)
    }
    expect((await sender.ended()).code).toBe(0)
    await page.close()
  }
})

test('files and folders of one name are all sent, and the page counts their own bytes', async () => {
  const server = await startServerHere('--resume-within', '120')
  const from = await tempDir()
  const place = async (folder: string, name: string) => {
    await mkdir(join(from, folder, name, '..'), { recursive: true })
    const path = join(from, folder, name)
    await writeFile(path, folder)
    await utimes(path, 1e9, 1e9)
    return path
  }
  const page = await openSendPage(await startChromium(), server.url)
  await page.chooseFiles([await place('1', 'key.txt')])
  await page.chooseFiles([await place('2', 'key.txt')])
  await page.chooseFiles([await place('3', 'build')])
  await place('4', 'build/a')
  await page.chooseFolder(join(from, '4/build'))
  await place('5', 'build/a')
  await page.drop([join(from, '5/build')])
  await page.untilShows(/5 files, 5 B/)
  await page.press('Send')
  const to = await getByEss(await page.link())
  const wanted = { 'key.txt': '1', 'key (2).txt': '2', build: '3', 'build (2)/a': '4', 'build (3)/a': '5' }
  for (const [path, content] of Object.entries(wanted))
    expect(await readFile(join(to, path), 'utf8')).toBe(content)
  expect((await readdir(to)).length).toBe(5)
  await page.untilShows(/^Delivered$/m)
  expect(await page.text()).toContain(`files · ${formatBytes(5)}`)
})

test('a text is not lost by a reload, until it is copied', async () => {
  const server = await startServerHere()
  const sender = await runEss(server.url, ['send', '--encrypt', '--text', 'only once'])
  const [link = ''] = await sender.untilStdout(LINK)
  const browser = await startChromium()
  await browser.grantPermissions(['clipboard-read', 'clipboard-write'])
  const { page, untilShows } = await openLink(browser, link, 'no pickers')
  let asked = 0
  page.removeAllListeners('dialog')
  page.on('dialog', (dialog) => {
    asked++
    void dialog.dismiss()
  })
  // A browser asks for a page that the person has used.
  await page.getByRole('button', { name: RECEIVING.showText }).click()
  await untilShows('only once')
  await page.evaluate('void location.reload()')
  await until('the browser asks', () => asked === 1)
  await untilShows('only once')
  await page.getByRole('button', { name: RECEIVING.copy }).click()
  await untilShows('Copied')
  await page.reload()
  expect(asked).toBe(1)
})

test('a page whose script can not be loaded has a way on', async () => {
  const server = await startServerHere()
  const sender = await runEss(server.url, ['send', '--encrypt', '--text', 'x'])
  const [link = ''] = await sender.untilStdout(LINK)
  const browser = await startChromium()
  for (const [url, lost, shown] of [
    [link, '**/web/receive-*', SHELLS.downloadSealed],
    [link, '**/web/part-*', SHELLS.downloadSealed],
    [server.url, '**/web/send-*', SHELLS.needsScript],
  ] as const) {
    const page = await browser.newPage()
    await page.route(lost, (route) => route.abort())
    await page.goto(url)
    await page.getByText(shown, { exact: true }).waitFor()
    await page.close()
  }
})

test('the page finds its script behind a proxy that takes its path away, with a slash at its end or not', async () => {
  const server = await startServerHere()
  const proxy = createServer((asked, answered) => {
    const { method, headers, url = '' } = asked
    const path = url.startsWith('/tools/ess') ? url.slice('/tools/ess'.length) : undefined
    if (path === undefined) {
      answered.writeHead(404).end('Not here')
      return
    }
    const own = { port: server.port, host: '127.0.0.1', method, headers, path: path.replace(/^(?!\/)/, '/') }
    const passing = request(own, (answer) => {
      answered.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(answered)
    })
    passing.on('error', () => answered.destroy())
    asked.pipe(passing)
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void proxy.close())
  await until('the proxy listens', () => proxy.listening)
  // It listens at a port.
  const { port } = proxy.address() as AddressInfo
  const browser = await startChromium()
  for (const path of ['/tools/ess', '/tools/ess/', '/tools/ess?from=here']) {
    const page = await openSendPage(browser, `http://127.0.0.1:${port}${path}`)
    await page.untilShows(/Choose files/)
    await page.close()
  }
})
