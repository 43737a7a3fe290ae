import { connect } from 'node:net'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { makeIdentity } from '../../../client/seal/age.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { SENDING } from '../../../shared/page-words-sending.js'
import { bytesOf } from '../../helpers/bytes.js'
import { startChromium } from '../../helpers/chromium.js'
import { needs } from '../../helpers/needs.js'
import { LONG_MS, newFile, offer, proxyTo, SLOW } from '../../helpers/page-offers.js'
import { pickedFiles } from '../../helpers/picked-files.js'
import { openInTab as openLink } from '../../helpers/receive-page.js'
import { runEss } from '../../helpers/run-ess.js'
import { openInTab as openToSend } from '../../helpers/send-page.js'
import { startServer } from '../../helpers/start-server.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { recordSecretsIn } from '../../helpers/suite-logs.js'
import { until } from '../../helpers/within.js'

/*
 * Who has the file, and what is known of it: no page says more than that, and none ends what is not its own.
 */

beforeEach((context) => needs(context, 'chromium', 'curl'))

const RESUMABLE = ['--resume-within', '60'] as const
const LINK = /https?:\/\/\S+/

/** Takes a download as it comes, and keeps the connection open. Gives the number of bytes of its body so far. */
function holdOpen(link: string): () => number {
  const { hostname, port, pathname } = new URL(link)
  const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true })
  let received = ''
  socket.on('data', (bytes) => (received += bytes.toString('latin1')))
  socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`)
  onTestFinished(() => void socket.destroy())
  return () => {
    const end = received.indexOf('\r\n\r\n')
    return end < 0 ? 0 : received.length - end - 4
  }
}

test('a second tab that presses Save is refused, and ends nothing of the first one’s download', async () => {
  const server = await startServerHere(...RESUMABLE)
  const proxy = await proxyTo(server.port)
  const sender = await runEss(server.url, ['send', '--encrypt', await newFile()])
  const [link = ''] = await sender.untilStdout(LINK)
  const browser = await startChromium()
  const first = await openLink(browser, link.replace(`:${server.port}/`, `:${proxy.port}/`), 'pickers')
  const second = await openLink(browser, link, 'memory alone')
  await proxy.strike(SLOW)
  await first.press(RECEIVING.save)
  await first.untilShows(/MB of 30\.0 MB/)
  await second.press(RECEIVING.save)
  await second.untilShows(RECEIVING.failed)
  await second.close()
  await proxy.strike({ kind: 'throttle', bytesPerSecond: 50_000_000 })
  await first.untilShows(/Every byte was checked/, LONG_MS)
  expect((await sender.ended()).code).toBe(0)
})

test('a sender who cancels is told what the other side may have', async () => {
  const server = await startServerHere(...RESUMABLE)
  const browser = await startChromium()
  // By pieces, by one request, and with nothing in it: the receiver has all, and has not said so.
  for (const [size, isSealed] of [
    [300_000, true],
    [3_000, false],
    [0, false],
  ] as const) {
    const page = await openToSend(browser, server.url)
    await page.chooseFiles([await newFile(bytesOf(size))])
    if (!isSealed) await page.unseal()
    await page.press(SENDING.send)
    const received = holdOpen(await page.link())
    await until('every byte has come', () => received() >= size)
    await page.untilShows(/All sent|Sending/)
    await page.press('Cancel')
    await page.untilShows(new RegExp(SENDING.stoppedLate.replaceAll('.', '\\.')))
    await page.close()
  }
  // No one has opened these.
  for (const size of [300_000, 3_000, 0]) {
    const page = await openToSend(browser, server.url)
    await offer(page, await newFile(bytesOf(size)), server)
    await page.press('Cancel')
    await page.untilShows(new RegExp(SENDING.stopped.replaceAll('.', '\\.')))
    await page.close()
  }
})

test('a key in the link of a plain file proves nothing, and the plain bytes are not kept', async () => {
  const server = await startServerHere(...RESUMABLE)
  const sender = await runEss(server.url, ['send', '--no-encrypt', await newFile(bytesOf(100_000))])
  const [link = ''] = await sender.untilStdout(LINK)
  const key = await makeIdentity()
  recordSecretsIn(key)
  const page = await openLink(await startChromium(), `${link}#${key}`, 'pickers')
  await page.untilShows(RECEIVING.mayBeSealed)
  expect(await page.text()).not.toContain(RECEIVING.isSealed)
  await page.press(RECEIVING.save)
  await page.untilShows(/Nothing was kept/)
  expect(await pickedFiles(page.page)).toEqual({})
})

test('a server that was killed is told to a receiver midway, and to a sender whose link no one had opened', async () => {
  const server = await startServer(...RESUMABLE)
  const proxy = await proxyTo(server.port)
  const browser = await startChromium()
  const sender = await openToSend(browser, `http://127.0.0.1:${proxy.port}`)
  await offer(sender, await newFile(), proxy)
  const ess = await runEss(server.url, ['send', '--encrypt', await newFile()])
  const [link = ''] = await ess.untilStdout(LINK)
  const receiver = await openLink(browser, link.replace(`:${server.port}/`, `:${proxy.port}/`), 'pickers')
  await proxy.strike(SLOW)
  await receiver.press(RECEIVING.save)
  await receiver.untilShows(/MB of 30\.0 MB/)
  await proxy.close()
  await server.stop('SIGKILL')
  const again = await startServerHere(...RESUMABLE)
  await proxyTo(again.port, proxy.port)
  await receiver.untilShows(RECEIVING.forgotten, LONG_MS)
  await sender.untilShows(new RegExp(SENDING.lostUnopened.replaceAll('.', '\\.')), LONG_MS)
})
