import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { bytesOf } from '../../helpers/bytes.js'
import { needs } from '../../helpers/needs.js'
import {
  at,
  content,
  LONG_MS,
  NAME,
  newFile,
  offer,
  proxyTo,
  receive,
  SIZE,
  SLOW,
} from '../../helpers/page-offers.js'
import { run } from '../../helpers/run.js'
import { runCurl } from '../../helpers/run-curl.js'
import { openInChromium, openInFirefox } from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { within } from '../../helpers/within.js'

beforeEach((context) => needs(context, 'chromium'))

const BROWSERS = [
  ['Chromium', openInChromium, 'chromium'],
  ['Firefox', openInFirefox, 'firefox-esr'],
] as const

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
