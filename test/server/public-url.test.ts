import { networkInterfaces } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createService, listen } from '../../server/index.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { openSender, serve } from './serve.js'

/** The base of the URL that a sender with these headers is told, from a server with these options. */
async function baseTold(
  options: Parameters<typeof serve>[0],
  headers: Readonly<Record<string, string>>,
): Promise<string> {
  const { port } = await serve(options)
  const { id, url, text } = await openSender(port, { length: 0, headers })
  expect(text()).toContain(`\r\nLocation: ${url}\r\n`)
  expect(url.endsWith(`/${id}`)).toBe(true)
  return url.slice(0, -id.length - 1)
}

test.each([
  'send.example.org',
  'send.example.org:8080',
  'SEND.example.org.',
  'under_score.example',
  '192.0.2.1:9000',
  '[2001:db8::1]',
  '[::1]:9000',
  'localhost',
])('a sender that asked for %s is told that host', async (host) => {
  expect(await baseTold({}, { Host: host })).toBe(`http://${host}`)
})

test.each([
  'a/b',
  'a b',
  'user@example.org',
  'example.org?x',
  'example.org#x',
  'example.org:port',
  'example.org:123456',
  '[::1',
  '::1',
  '"><script>',
  'a\\b',
  'a,b',
  '-',
  '',
])('a Host of %j is a bad request, and no sender is made to believe it', async (host) => {
  const { port, opened } = await serve()
  const answer = await exchange(port, requestHead('POST /', { Host: host, 'Content-Length': '0' }))
  expect(answer).toMatchObject({ status: 400, body: expect.stringMatching(/^bad-request: Expected /) })
  expect(opened).toEqual([])
})

describe('forwarded headers', () => {
  const FORWARDED = { 'X-Forwarded-Host': 'send.example.org', 'X-Forwarded-Proto': 'https' }
  const OURS = 'http://inside.example'

  test.each([
    ['nobody', undefined, OURS],
    ['other addresses', ['10.0.0.0/8', '192.0.2.1'], OURS],
    ['this very address', ['127.0.0.1'], 'https://send.example.org'],
    ['a range this address is in', ['10.0.0.0/8', '127.0.0.0/8'], 'https://send.example.org'],
    ['a range by its name', ['loopback'], 'https://send.example.org'],
  ])('are believed as %s may send them', async (_who, trustProxy, base) => {
    const options = trustProxy === undefined ? {} : { trustProxy }
    expect(await baseTold(options, { Host: 'inside.example', ...FORWARDED })).toBe(base)
  })

  test.each([
    [{ 'X-Forwarded-Host': 'a.example, b.example' }, 'http://a.example'],
    [{ 'X-Forwarded-Proto': 'HTTPS, http' }, 'https://inside.example'],
    [{ 'X-Forwarded-Host': '', 'X-Forwarded-Proto': '' }, OURS],
    [
      { 'X-Forwarded-Host': '[2001:db8::1]:8443', 'X-Forwarded-Proto': 'https' },
      'https://[2001:db8::1]:8443',
    ],
  ])('of a trusted proxy that say %j give %s', async (headers, base) => {
    const host = { Host: 'inside.example' }
    expect(await baseTold({ trustProxy: ['loopback'] }, { ...host, ...headers })).toBe(base)
  })

  test.each([{ 'X-Forwarded-Host': 'a/b' }, { 'X-Forwarded-Proto': 'ftp' }])(
    'of a trusted proxy that say %j are a bad request',
    async (headers) => {
      const { port } = await serve({ trustProxy: ['loopback'] })
      const request = requestHead('POST /', { 'Content-Length': '0', ...headers })
      expect(await exchange(port, request)).toMatchObject({
        status: 400,
        body: expect.stringMatching(/^bad-request: /),
      })
    },
  )
})

test('the base URL of the operator wins over everything a request says', async () => {
  const headers = { 'X-Forwarded-Host': 'a.example', 'X-Forwarded-Proto': 'http' }
  const options = { baseUrl: 'https://send.example.org/share/', trustProxy: ['loopback'] }
  expect(await baseTold(options, headers)).toBe('https://send.example.org/share')
})

test('the usage has the URL of the host it was asked from', async () => {
  const { port } = await serve()
  const { body } = await exchange(port, requestHead('GET /', { Host: 'send.example.org' }))
  expect(body).toContain('curl -T file.iso http://send.example.org/\n')
})

test('an HTTP/1.0 client without a Host is told the address it came to', async () => {
  const { port } = await serve()
  const { body } = await exchange(port, 'GET / HTTP/1.0\r\n\r\n')
  expect(body).toContain(`curl -T file.iso http://127.0.0.1:${port}/\n`)
})

test('a server on an IPv6 address has it in brackets', async (context) => {
  const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
    all?.some(({ address }) => address === '::1'),
  )
  context.skip(!hasIpv6, 'needs ::1, which this machine does not have')
  const server = await listen(createService(), { host: '::1', port: 0 })
  onTestFinished(() => server.stopNow())
  expect(server.url).toBe(`http://[::1]:${server.port}`)
  const usage = await (await fetch(server.url, { headers: { Connection: 'close' } })).text()
  expect(usage).toContain(`curl -T file.iso ${server.url}/\n`)
})
