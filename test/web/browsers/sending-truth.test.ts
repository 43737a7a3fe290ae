import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { certificate } from '../../helpers/certificate.js'
import { needs } from '../../helpers/needs.js'
import { at, LONG_MS, newFile, offer, proxyTo, receive, SLOW } from '../../helpers/page-offers.js'
import { type ChromiumPage, openInChromium } from '../../helpers/send-page.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { tempDir } from '../../helpers/temp-dir.js'
import { within } from '../../helpers/within.js'

beforeEach((context) => needs(context, 'chromium'))

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

/** A page that sends slowly to `ess get`, and is midway. Who is lost has `within` seconds to come back. */
async function slowTransfer(within: string) {
  const server = await startServerHere('--resume-within', within)
  const proxy = await proxyTo(server.port)
  await proxy.strike(SLOW)
  const page = await openInChromium(at(proxy))
  const ess = await receive(await offer(page, await newFile(), server))
  await page.untilShows(/MB of 30\.0 MB/)
  return { server, proxy, page, ess }
}

describe('the truth', () => {
  test('a page that is closed midway is told to the receiver at once', async () => {
    const { server, page, ess } = await slowTransfer('60')
    await page.page.close()
    const { code, stderr } = await ess.ended()
    expect(stderr).toContain('The sender stopped this transfer')
    expect(code).toBe(5)
    await server.untilStderr(/"outcome":"cancelled"/)
  })

  test('a browser that is killed midway is told to the receiver when its time is over', async () => {
    const { proxy, ess } = await slowTransfer('3')
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
    const { server, page, ess } = await slowTransfer('60')
    await page.press('Cancel')
    await page.untilShows(/^Cancelled$/m)
    expect(await ess.ended()).toMatchObject({ code: 5 })
    await page.press('Send it again')
    const again = new URL(await page.link())
    again.port = String(server.port)
    await (await receive(again.href)).whole()
    await page.untilShows(/^Delivered$/m)
  })

  test('a receiver that stops midway is told', async () => {
    const { page, ess } = await slowTransfer('60')
    ess.kill('SIGINT')
    await page.untilShows(/^Not delivered$[\s\S]*The receiver/m)
  })

  test('a receiver that vanishes is told while it may come back, and when its time is over', async () => {
    const { page, ess } = await slowTransfer('10')
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
