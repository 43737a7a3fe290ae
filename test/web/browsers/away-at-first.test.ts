import { request as ask, createServer, type IncomingMessage } from 'node:http'
import { beforeEach, expect, test } from 'vitest'
import { EssError, PROBLEM_MEDIA_TYPE, toProblem } from '../../../shared/index.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { SENDING } from '../../../shared/page-words-sending.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { needs } from '../../helpers/needs.js'
import { at, LONG_MS, newFile, proxyTo } from '../../helpers/page-offers.js'
import { connectReceiver, startSender, untilReceiving } from '../../helpers/peers.js'
import * as receivers from '../../helpers/receive-page.js'
import { listening } from '../../helpers/recording-proxy.js'
import { runEss } from '../../helpers/run-ess.js'
import * as senders from '../../helpers/send-page.js'
import { startServer } from '../../helpers/start-server.js'
import { startServerHere } from '../../helpers/start-server-here.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'

beforeEach((context) => needs(context, 'chromium'))

/** How often something on the way answers for a server that is away, before it can be reached. */
const TIMES = 2

interface Gateway {
  readonly url: string
  /** How often it has answered by itself. */
  readonly refusals: () => number
}

/** A proxy that refuses the first requests of a kind by this status. By default it says that the server is away. */
async function gatewayTo(
  port: number,
  status: number,
  refuses: (request: IncomingMessage) => boolean,
  body = '<h1>Try later</h1>',
): Promise<Gateway> {
  let count = 0
  const gateway = createServer((request, answer) => {
    if (refuses(request) && count < TIMES) {
      count++
      const type = body.startsWith('{') ? PROBLEM_MEDIA_TYPE : 'text/html'
      answer.writeHead(status, { 'Content-Type': type }).end(body)
      return
    }
    const { method, url, headers } = request
    const asked = ask({ port, host: '127.0.0.1', method, path: url, headers }, (own) => {
      answer.writeHead(own.statusCode ?? 500, own.headers)
      own.pipe(answer)
    })
    asked.on('error', () => answer.destroy())
    answer.on('close', () => asked.destroy())
    request.pipe(asked)
  })
  return { url: `http://127.0.0.1:${await listening(gateway)}`, refusals: () => count }
}

test('a page makes its link when a proxy reaches its server again', async () => {
  const server = await startServerHere('--resume-within', '60')
  const gateway = await gatewayTo(server.port, 502, ({ url }) => url?.startsWith('/reserve') === true)
  const page = await senders.openInChromium(gateway.url)
  await page.chooseFiles([await newFile(Buffer.from('small'))])
  await page.press(SENDING.send)
  await page.link()
  expect(gateway.refusals()).toBe(TIMES)
})

test('a page makes its link at the next process of a server that stops', async () => {
  const [server, next] = [await startServer(), await startServer()]
  const proxy = await proxyTo(server.port)
  const page = await senders.openInChromium(at(proxy))
  await page.chooseFiles([await newFile(Buffer.from('small'))])
  const sender = await startSender('curl', server, 'held')
  const receiver = await connectReceiver('curl', sender)
  sender.stdin.write(Buffer.alloc(1_000_000))
  await untilReceiving(receiver)
  const refused = page.page.waitForResponse((answer) => answer.status() === 503)
  server.signal('SIGTERM')
  await server.untilStderr(/stopping/)
  await page.press(SENDING.send)
  await within(DEADLINE_MS, 'it is refused', refused)
  sender.stdin.end()
  await server.ended()
  await proxy.close()
  await proxyTo(next.port, proxy.port)
  await page.link()
})

test('a link’s page looks again, and asks again, while its server is away', async () => {
  const server = await startServerHere('--resume-within', '60')
  const looking = await gatewayTo(server.port, 502, ({ method }) => method === 'HEAD')
  const answer = await exchange(
    server.port,
    requestHead('POST /reserve', { Accept: 'application/json', 'Sec-Fetch-Site': 'same-origin' }),
  )
  const { id, upload } = JSON.parse(answer.body) as { id: string; upload: string }
  const page = await receivers.openInChromium(`${looking.url}/${id}`)
  await until('it has looked in vain', () => looking.refusals() === TIMES)
  void exchange(
    server.port,
    `${requestHead(`PUT ${new URL(upload).pathname}`, { 'Content-Length': '5', 'Ess-Bundle': 'tar;entries=1' })}hello`,
  ).catch(() => undefined)
  // It has found out what the server could not say before.
  await page.untilShows(RECEIVING.saveZip)
})

test('a page that receives asks again while its server is away', async () => {
  const server = await startServerHere('--resume-within', '60')
  const gateway = await gatewayTo(
    server.port,
    503,
    ({ method, headers }) =>
      method === 'GET' && headers['sec-fetch-mode'] === 'cors' && headers['ess-confirm'] !== undefined,
  )
  const sender = await runEss(server.url, ['send', '-e', '--text', 'Hello'])
  const [link = ''] = await sender.untilStdout(/https?:\/\/\S+/)
  const { hash, pathname } = new URL(link)
  const page = await receivers.openInChromium(`${gateway.url}${pathname}${hash}`)
  await page.press(RECEIVING.showText)
  await page.untilShows('Hello')
  expect(gateway.refusals()).toBe(TIMES)
  expect((await sender.ended()).code).toBe(0)
})

test('a page that is back before the server has counted all that it has asks again', async () => {
  const server = await startServerHere('--resume-within', '60')
  const gateway = await gatewayTo(
    server.port,
    409,
    ({ headers }) => headers.range !== undefined,
    JSON.stringify(toProblem(new EssError('whole-only'))),
  )
  const proxy = await proxyTo(Number(new URL(gateway.url).port))
  const sender = await runEss(server.url, ['send', '-e', await newFile()])
  const [link = ''] = await sender.untilStdout(/https?:\/\/\S+/)
  const { hash, pathname } = new URL(link)
  const page = await receivers.openInChromium(`${at(proxy)}${pathname}${hash}`)
  const cut = proxy.arm({ kind: 'rst' }, 'down', 11_000_000, true)
  await page.press(RECEIVING.save)
  await within(DEADLINE_MS, 'the cut', cut)
  await page.untilShows(RECEIVING.savedToDownloads, LONG_MS)
  expect(gateway.refusals()).toBe(TIMES)
  expect((await sender.ended()).code).toBe(0)
})
