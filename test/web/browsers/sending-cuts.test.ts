import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { bytesOf } from '../../helpers/bytes.js'
import { certificate } from '../../helpers/certificate.js'
import { needs } from '../../helpers/needs.js'
import { type Program, run } from '../../helpers/run.js'
import { runCurl } from '../../helpers/run-curl.js'
import { runEss } from '../../helpers/run-ess.js'
import { type ChromiumPage, openInChromium, openInFirefox, type SendPage } from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { startTcpProxy, type TcpProxy } from '../../helpers/tcp-proxy.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { within } from '../../helpers/within.js'

const SIZE = 30_000_017
/** Slow enough to be met midway. */
const SLOW: Parameters<TcpProxy['strike']>[0] = { kind: 'throttle', bytesPerSecond: 4_000_000 }
/** A transfer of that size at that speed, with pauses. */
const LONG_MS = 60_000
const NAME = 'report.bin'
const content = bytesOf(SIZE)

beforeEach((context) => needs(context, 'chromium'))

const BROWSERS = [
  ['Chromium', openInChromium, 'chromium'],
  ['Firefox', openInFirefox, 'firefox-esr'],
] as const

async function proxyTo(port: number, own?: number): Promise<TcpProxy> {
  const proxy = await startTcpProxy(port, own)
  onTestFinished(() => proxy.close())
  return proxy
}

const at = ({ port }: { readonly port: number }) => `http://127.0.0.1:${port}`

async function newFile(bytes: Buffer = content): Promise<string> {
  const path = join(await tempDir(), NAME)
  await writeFile(path, bytes)
  return path
}

/** Chooses a file and sends it. Gives the link, by this way. */
async function offer(page: SendPage, path: string, by: { readonly port: number }): Promise<string> {
  await page.chooseFiles([path])
  await page.press('Send')
  const link = new URL(await page.link())
  link.port = String(by.port)
  return link.href
}

/** Receives with `ess`; `whole` expects the file. */
async function receive(
  link: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Program & { whole(): Promise<void> }> {
  const cwd = await tempDir()
  const ess = await runEss(undefined, ['get', link, '-o', join(cwd, NAME)], { env })
  return {
    ...ess,
    whole: async () => {
      const { code, stderr } = await ess.ended(LONG_MS)
      expect({ code, stderr }).toMatchObject({ code: 0 })
      expect((await readFile(join(cwd, NAME))).equals(content)).toBe(true)
    },
  }
}

describe.each(BROWSERS)('%s goes on', (_name, open, program) => {
  beforeEach((context) => needs(context, program))

  test.for(['rst', 'fin'] as const)('when its own connection is cut midway: %s', async (kind) => {
    const server = await startServerHere('--resume-within', '60')
    const proxy = await proxyTo(server.port)
    const page = await open(at(proxy))
    const link = await offer(page, await newFile(), server)
    const first = proxy.arm({ kind }, 'up', 12_000_000)
    const ess = await receive(link)
    await within(LONG_MS, 'the first cut', first)
    await within(LONG_MS, 'the second cut', proxy.arm({ kind }, 'up', 6_000_000))
    await ess.whole()
    await page.untilShows(/^Delivered$/m)
  })

  test('when the receiver’s connection is cut midway', async () => {
    const server = await startServerHere('--resume-within', '60')
    const page = await open(server.url)
    const proxy = await proxyTo(server.port)
    const link = await offer(page, await newFile(), proxy)
    const cut = proxy.arm({ kind: 'rst' }, 'down', 11_000_000)
    const ess = await receive(link)
    await within(LONG_MS, 'the cut', cut)
    await ess.whole()
    await page.untilShows(/^Delivered$/m)
  })

  test('after it was offline for 10 s', { timeout: 2 * LONG_MS }, async () => {
    const server = await startServerHere('--resume-within', '60')
    const first = await proxyTo(server.port)
    await first.strike(SLOW)
    const page = await open(at(first))
    const ess = await receive(await offer(page, await newFile(), server))
    await page.untilShows(/MB of 30\.0 MB/)
    await first.close()
    await page.untilShows(/can’t be reached/)
    await delay(10_000)
    await proxyTo(server.port, first.port)
    await ess.whole()
    await page.untilShows(/^Delivered$/m)
  })

  test('after it was offline while its link waited', { timeout: 2 * LONG_MS }, async () => {
    const server = await startServerHere('--resume-within', '60')
    const first = await proxyTo(server.port)
    const page = await open(at(first))
    const link = await offer(page, await newFile(), server)
    await first.close()
    await page.untilShows(/can’t be reached/)
    await proxyTo(server.port, first.port)
    const ess = await receive(link)
    await ess.whole()
    await page.untilShows(/^Delivered$/m)
  })
})

describe.each(BROWSERS)('%s ends a transfer', (_name, open, program) => {
  beforeEach((context) => needs(context, program))

  test.for([
    ['rewritten', bytesOf(SIZE, 2)],
    ['longer', Buffer.concat([content, Buffer.from('more')])],
    ['shorter', content.subarray(0, 20_000_000)],
  ] as const)('whose file is %s midway', async ([_how, changed]) => {
    const server = await startServerHere('--resume-within', '60')
    const proxy = await proxyTo(server.port)
    await proxy.strike(SLOW)
    const page = await open(at(proxy))
    const path = await newFile()
    const ess = await receive(await offer(page, path, server))
    await page.untilShows(/MB of 30\.0 MB/)
    await writeFile(path, changed)
    await page.untilShows(/^Not delivered$[\s\S]*was changed/m, LONG_MS)
    expect(await ess.ended()).toMatchObject({ code: 5 })
  })

  test('whose file was appended to before it was sent', async () => {
    const server = await startServerHere('--resume-within', '60')
    const page = await open(server.url)
    const path = await newFile()
    await page.chooseFiles([path])
    await appendFile(path, 'more')
    await page.press('Send')
    // Where the browser itself looks, there is no link.
    if (program === 'chromium') await page.untilShows(/cannot read report\.bin/)
    else {
      const ess = await receive(await page.link())
      await page.untilShows(/^Not delivered$[\s\S]*was changed/m, LONG_MS)
      expect(await ess.ended()).toMatchObject({ code: 5 })
    }
  })
})

test('a receiver that begins again gets the file from its first byte', async (context) => {
  needs(context, 'curl', 'age')
  const server = await startServerHere('--resume-within', '60')
  const page = await openInChromium(server.url)
  const proxy = await proxyTo(server.port)
  const link = await offer(page, await newFile(), proxy)
  const [url = '', key = ''] = link.split('#')
  const cwd = await tempDir()
  await writeFile(join(cwd, 'key.txt'), key)
  const cut = proxy.arm({ kind: 'rst' }, 'down', 9_000_000)
  const first = await runCurl(['-fo', 'first', url], { cwd })
  await within(LONG_MS, 'the cut', cut)
  expect((await first.ended()).code).toBe(56)
  const line = `curl -sSf ${url} | age -d -i key.txt > ${NAME}`
  const second = await run('bash', 'bash', ['-o', 'pipefail', '-c', line], { cwd })
  expect(await second.ended(LONG_MS)).toMatchObject({ code: 0, stderr: '' })
  expect((await readFile(join(cwd, NAME))).equals(content)).toBe(true)
  await page.untilShows(/^Delivered$/m)
})

test('five tabs of one browser send at the same time, over HTTP/1.1', { timeout: 4 * LONG_MS }, async () => {
  const server = await startServerHere('--resume-within', '60')
  const first = await openInChromium(server.url)
  const pages = [first]
  // A browser has six connections, and a link that waits holds one of them.
  for (let count = 1; count < 5; count++) pages.push(await first.another(server.url))
  const path = await newFile()
  const links = []
  for (const page of pages) links.push(await offer(page, path, server))
  const receivers = await Promise.all(links.map((link) => receive(link)))
  await Promise.all(receivers.map((one) => one.whole()))
  for (const page of pages) await page.untilShows(/^Delivered$/m)
})

test('over HTTP/2 it sends, and goes on after a cut', async () => {
  const pair = await certificate()
  const tls = ['--tls-cert', pair.path, '--tls-key', pair.keyPath]
  const server = await startServerHere('--resume-within', '60', ...tls)
  const proxy = await proxyTo(server.port)
  const page = await openInChromium(`https://localhost:${proxy.port}`, '--ignore-certificate-errors')
  await page.chooseFiles([await newFile()])
  await page.press('Send')
  const link = new URL(await page.link())
  link.port = String(server.port)
  const cut = proxy.arm({ kind: 'rst' }, 'up', 12_000_000)
  const ess = await receive(link.href, { NODE_EXTRA_CA_CERTS: pair.path })
  await within(LONG_MS, 'the cut', cut)
  await ess.whole()
  await page.untilShows(/^Delivered$/m)
  const protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
  expect(await page.page.evaluate(protocol)).toBe('h2')
})

describe('the truth', () => {
  test('a page that is closed midway is told to the receiver at once', async () => {
    const server = await startServerHere('--resume-within', '60')
    const proxy = await proxyTo(server.port)
    await proxy.strike(SLOW)
    const page = await openInChromium(at(proxy))
    const ess = await receive(await offer(page, await newFile(), server))
    await page.untilShows(/MB of 30\.0 MB/)
    await page.page.close()
    const { code, stderr } = await ess.ended()
    expect(stderr).toContain('The sender stopped this transfer')
    expect(code).toBe(5)
    await server.untilStderr(/"outcome":"cancelled"/)
  })

  test('a browser that is killed midway is told to the receiver when its time is over', async () => {
    const server = await startServerHere('--resume-within', '3')
    const proxy = await proxyTo(server.port)
    await proxy.strike(SLOW)
    const page = await openInChromium(at(proxy))
    const ess = await receive(await offer(page, await newFile(), server))
    await page.untilShows(/MB of 30\.0 MB/)
    await proxy.close()
    const { code, stderr } = await ess.ended(LONG_MS)
    expect(stderr).toContain('The sender')
    expect(code).toBe(5)
  })

  test('a page asks before it is left, and only while it sends', async () => {
    const server = await startServerHere('--resume-within', '60')
    const page = await openInChromium(server.url)
    const asked: string[] = []
    page.page.on('dialog', (dialog) => {
      asked.push(dialog.type())
      void dialog.dismiss()
    })
    // A browser asks only for a page that a person has touched.
    await page.page.getByRole('heading').click()
    await offer(page, await newFile(), server)
    await page.page.close({ runBeforeUnload: true })
    await within(LONG_MS, 'the page asks', page.untilShows(/Your link is ready/))
    expect(asked).toEqual(['beforeunload'])
    await page.press('Cancel')
    await page.untilShows(/^Cancelled$/m)
    const closed = page.page.waitForEvent('close')
    await page.page.close({ runBeforeUnload: true })
    await within(LONG_MS, 'the page closes', closed)
    expect(asked).toEqual(['beforeunload'])
  })

  test('a transfer that is cancelled is told to the receiver, and can be sent again', async () => {
    const server = await startServerHere('--resume-within', '60')
    const proxy = await proxyTo(server.port)
    await proxy.strike(SLOW)
    const page = await openInChromium(at(proxy))
    const ess = await receive(await offer(page, await newFile(), server))
    await page.untilShows(/MB of 30\.0 MB/)
    await page.press('Cancel')
    await page.untilShows(/^Cancelled$/m)
    expect(await ess.ended()).toMatchObject({ code: 5 })
    await page.press('Send it again')
    await page.untilShows(/report\.bin/)
    await page.press('Send')
    const again = new URL(await page.link())
    again.port = String(server.port)
    await (await receive(again.href)).whole()
    await page.untilShows(/^Delivered$/m)
  })

  test('a receiver that stops midway is told', async () => {
    const server = await startServerHere('--resume-within', '60')
    const proxy = await proxyTo(server.port)
    await proxy.strike(SLOW)
    const page = await openInChromium(at(proxy))
    const ess = await receive(await offer(page, await newFile(), server))
    await page.untilShows(/MB of 30\.0 MB/)
    ess.kill('SIGINT')
    await page.untilShows(/^Not delivered$[\s\S]*The receiver/m)
  })

  test('a receiver that vanishes is told while it may come back, and when its time is over', async () => {
    const server = await startServerHere('--resume-within', '12')
    const proxy = await proxyTo(server.port)
    await proxy.strike(SLOW)
    const page = await openInChromium(at(proxy))
    const ess = await receive(await offer(page, await newFile(), server))
    await page.untilShows(/MB of 30\.0 MB/)
    ess.kill('SIGKILL')
    await page.untilShows(/The other side has lost its connection/)
    await page.untilShows(/^Not delivered$[\s\S]*The receiver/m, LONG_MS)
  })

  test('a server that was restarted has lost the transfer', async () => {
    const server = await startServerHere('--resume-within', '60')
    const proxy = await proxyTo(server.port)
    const page = await openInChromium(at(proxy))
    await offer(page, await newFile(), server)
    await server.stop()
    await page.untilShows(/^Not delivered$/m)
  })
})

describe('the server’s terms', () => {
  test('a token is asked for, taken, and kept in the tab', async () => {
    const file = join(await tempDir(), 'tokens')
    const token = 'a-token-that-is-long-enough'
    await writeFile(file, `${token}\n`, { mode: 0o600 })
    const server = await startServerHere('--send-tokens', file, '--resume-within', '60')
    const page = await openInChromium(server.url)
    await page.chooseFiles([await newFile()])
    await page.untilShows(/asks for a token/)
    await page.typeToken('another-token-that-is-long-enough')
    await page.press('Send')
    await page.untilShows(/This token is not right/)
    await page.typeToken(token)
    await page.press('Send')
    const link = await page.link()
    await (await receive(link)).whole()
    await page.untilShows(/^Delivered$/m)
    await page.page.reload()
    await page.chooseFiles([await newFile()])
    await page.press('Send')
    expect(await page.link()).not.toBe(link)
  })

  test('a file that is too large is refused before it is sent', async () => {
    const server = await startServerHere('--max-upload-bytes', '30000000', '--resume-within', '60')
    const page = await openInChromium(server.url)
    await page.chooseFiles([await newFile()])
    await page.press('Send')
    await page.untilShows(/this server takes at most 30000000 bytes/)
    expect(server.stderr()).not.toContain('reserved')
  })

  test('a server that is full says when to try again', async () => {
    const server = await startServerHere('--max-sockets', '1', '--resume-within', '60')
    const first = await openInChromium(server.url)
    await offer(first, await newFile(), server)
    const second = await openInChromium(server.url)
    await second.chooseFiles([await newFile()])
    await second.press('Send')
    await second.untilShows(/This server is full[^.]*\. Try again in 30 s\.\n/)
  })

  test('a link that is not opened says so when its time is over', async () => {
    const server = await startServerHere('--ttl', '2', '--resume-within', '60')
    const page = await openInChromium(server.url)
    await offer(page, await newFile(), server)
    await page.untilShows(/^Not delivered$[\s\S]*the link expired/m)
  })

  test.each(['sealed', 'plain'])('a server that takes no pieces gets the file in one: %s', async (how) => {
    const server = await startServerHere('--resume-within', '0')
    const page = await openInChromium(server.url)
    await page.chooseFiles([await newFile()])
    await page.untilShows(/does not let a transfer go on after a cut/)
    if (how === 'plain') await page.unseal()
    await page.press('Send')
    const ess = await receive(await page.link())
    await ess.whole()
    await page.untilShows(/^Delivered$/m)
  })

  test('over plain HTTP to another machine it seals, and copies the link', async () => {
    const server = await startServerHere('--resume-within', '60', '--host', '127.0.0.1')
    const page: ChromiumPage = await openInChromium(
      `http://lan.test:${server.port}`,
      '--host-resolver-rules=MAP lan.test 127.0.0.1',
    )
    expect(await page.page.evaluate('isSecureContext')).toBe(false)
    await page.chooseFiles([await newFile()])
    await page.press('Send')
    const link = await page.link()
    expect(link).toMatch(/^http:\/\/lan\.test:\d+\/[\w-]{12}#AGE-SECRET-KEY-1/)
    await page.press('Copy the link')
    await page.untilShows(/Copied/)
    await (await receive(link.replace('lan.test', '127.0.0.1'))).whole()
    await page.untilShows(/^Delivered$/m)
  })
})
