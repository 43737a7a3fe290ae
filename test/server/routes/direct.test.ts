import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { brokerOf } from '../../../server/embed.js'
import { createService, type ServiceOptions } from '../../../server/index.js'
import { createRequestListener } from '../../../server/routes/listener.js'
import { type Answer, exchange, requestHead } from '../../helpers/http-exchange.js'
import { BROWSER } from '../../helpers/visitors.js'

/** The same service, once behind the door that has no router, and once behind the router alone. */
const DOORS = ['direct', 'routes'] as const

async function open(door: (typeof DOORS)[number], options: ServiceOptions): Promise<number> {
  const service = createService({ ids: { pattern: /^[a-z]+$/, generate: () => 'thefile' }, ...options })
  const routes = createRequestListener(service.app, brokerOf(service))
  const server = createServer(door === 'direct' ? service.handler : routes)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    service.stopNow()
    server.close()
  })
  // A server that listens on TCP has this kind of address.
  return (server.address() as AddressInfo).port
}

/** Without what differs from one second, or from one server, to the next. */
function comparable({ status, headers, body }: Answer, port: number): unknown {
  const { date, 'keep-alive': _timeout, ...rest } = headers
  expect(date).toMatch(/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/)
  const text = JSON.stringify({ status, headers: rest, body })
  return JSON.parse(text.replaceAll(`${port}`, 'PORT').replaceAll(/\/uploads\/[\w-]{22}/g, '/uploads/TOKEN'))
}

describe('what is answered without a router is answered as the router would:', () => {
  const closed = () => false
  test.each<[string, string, Record<string, string>?, ServiceOptions?]>([
    ['a link that is not there', 'GET /nothing'],
    ['one that nobody may open', 'GET /nothing', {}, { authorize: closed }],
    ['a program that reads problems', 'GET /nothing', { Accept: 'application/problem+json' }],
    ['a part of a file', 'GET /nothing', { Range: 'bytes=5-' }],
    ['a prefetch', 'GET /nothing', { 'Sec-Purpose': 'prefetch' }],
    [
      'a picture on another page',
      'GET /nothing',
      { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    ],
    ['a person', 'GET /nothing', { ...BROWSER }],
    ['a preview', 'GET /nothing', { 'User-Agent': 'Slackbot-LinkExpanding 1.0' }],
    ['a wait that is no number', 'GET /nothing?wait=soon'],
    ['an id that is encoded', 'GET /%6eothing'],
    ['the health, which looks like an id', 'GET /health'],
    ['the reservations, which look like an id', 'GET /reserve', {}, { reservations: true }],
    ['a host that is none', 'GET /nothing', { Host: 'a b' }],
    ['a sender whom nobody lets in', 'POST /', { 'Content-Length': '0' }, { authorize: closed }],
    ['a sender of what is too large', 'PUT /', { 'Content-Length': '11' }, { maxUploadBytes: 10 }],
    ['a sender in a coding', 'POST /', { 'Content-Length': '0', 'Content-Encoding': 'gzip' }],
    [
      'a sender that has to reserve',
      'POST /',
      { 'Content-Length': '0' },
      { earlyResponse: false, reservations: true },
    ],
    ['a sender whose host is none', 'POST /', { 'Content-Length': '0', Host: '-' }],
    [
      'a sender on another page',
      'POST /',
      { 'Content-Length': '0', Origin: 'https://a.example' },
      { corsOrigins: ['https://b.example'] },
    ],
  ])('%s', async (_what, target, headers = {}, options = {}) => {
    const [direct, routes] = await Promise.all(
      DOORS.map(async (door) => {
        const port = await open(door, options)
        return comparable(await exchange(port, requestHead(target, headers)), port)
      }),
    )
    expect(direct).toEqual(routes)
  })

  test.each(['3', undefined])('a whole transfer of Content-Length %s', async (length) => {
    const heads = await Promise.all(
      DOORS.map(async (door) => {
        const port = await open(door, {})
        const body = length === undefined ? '3\r\nabc\r\n0\r\n\r\n' : 'abc'
        const framing: Record<string, string> =
          length === undefined ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': length }
        const sent = exchange(port, requestHead('POST /', framing) + body)
        const received = await exchange(port, requestHead('GET /thefile?wait=5'))
        return [comparable(await sent, port), comparable(received, port)]
      }),
    )
    expect(heads[0]).toEqual(heads[1])
  })
})
