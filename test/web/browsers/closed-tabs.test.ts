import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { EXIT_STATUS } from '../../../shared/index.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { chainFor } from '../../helpers/authority.js'
import { writeFileOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import { openInChromium, openInFirefox } from '../../helpers/receive-page.js'
import { runEss } from '../../helpers/run-ess.js'
import * as sending from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'

beforeEach((context) => needs(context, 'chromium', 'firefox-esr'))

const NAME = 'report.bin'
const SIZE = 30_000_017
const LINK = /https?:\/\/\S+/
/** The sender is told at once, and not when the time to come back is over. */
const SOON_MS = 5_000

/** Where the link leads, as its receiver sees it. */
type Address = 'HTTP' | 'HTTP to another machine' | 'HTTP/2'

/** A sealed file, which its receiver gets slowly. */
async function sendSealed(address: Address) {
  const chain = address === 'HTTP/2' ? await chainFor('localhost', 2) : undefined
  const tls = chain === undefined ? [] : ['--tls-cert', chain.full, '--tls-key', chain.key]
  const server = await startServerHere('--resume-within', '60', ...tls)
  const proxy = await startTcpProxy(server.port)
  onTestFinished(() => proxy.close())
  await proxy.strike({ kind: 'throttle', bytesPerSecond: 4_000_000 })
  const path = join(await tempDir(), NAME)
  await writeFileOf(path, SIZE)
  const env = chain === undefined ? {} : { NODE_EXTRA_CA_CERTS: chain.root }
  const sender = await runEss(server.url.replace('127.0.0.1', 'localhost'), ['send', '--encrypt', path], {
    env,
  })
  const [url = ''] = await sender.untilStdout(LINK)
  const link = new URL(url)
  link.port = String(proxy.port)
  if (address === 'HTTP to another machine') link.hostname = 'send.test'
  const authority = chain && (await readFile(chain.root, 'utf8'))
  return { sender, link: link.href, server, authority }
}

const WAYS = [
  ['Chromium, to the disk', (link: string) => openInChromium(link, 'pickers'), ['HTTP', 'HTTP/2']],
  ['Chromium, by its storage', (link: string) => openInChromium(link), ['HTTP', 'HTTP/2']],
  ['Chromium, in memory', (link: string) => openInChromium(link), ['HTTP to another machine']],
  ['Firefox, by its storage', openInFirefox, ['HTTP', 'HTTP/2']],
  ['Firefox, in memory', openInFirefox, ['HTTP to another machine']],
] as const

const CASES = WAYS.flatMap(([way, open, addresses]) =>
  addresses.map((address) => ({ way, open, address: address as Address })),
)

describe.each([
  ['Chromium', sending.openInChromium],
  ['Firefox', sending.openInFirefox],
] as const)('a tab of %s that sends', (_browser, open) => {
  test('is told to the receiver within seconds when it is closed', async () => {
    const server = await startServerHere('--resume-within', '60')
    const proxy = await startTcpProxy(server.port)
    onTestFinished(() => proxy.close())
    await proxy.strike({ kind: 'throttle', bytesPerSecond: 4_000_000 })
    const folder = await tempDir()
    await writeFileOf(join(folder, NAME), SIZE)
    const page = await open(`http://127.0.0.1:${proxy.port}`)
    await page.chooseFiles([join(folder, NAME)])
    await page.press('Send')
    const link = new URL(await page.link())
    link.port = String(server.port)
    const ess = await runEss(undefined, ['get', link.href, '-o', join(folder, 'got.bin')])
    await page.untilShows(/MB of 30\.0 MB/)
    await page.close()
    const { code, stderr } = await ess.ended(SOON_MS)
    expect(stderr).toContain('The sender stopped this transfer')
    expect(code).toBe(EXIT_STATUS.broken)
  })
})

describe.each(CASES)('$way, over $address', ({ open, address }) => {
  test('its sender knows within seconds that the tab was closed', async () => {
    const { sender, link, server, authority } = await sendSealed(address)
    const page = await open(link, authority)
    await page.press(RECEIVING.save)
    await page.untilShows(/MB of 30\.0 MB/)
    await page.close()
    const { code, stderr } = await sender.ended(SOON_MS)
    expect(stderr).toContain('The receiver stopped the download')
    expect(code).toBe(EXIT_STATUS.broken)
    await server.untilStderr(/"outcome":"receiver-lost"/)
  })
})
