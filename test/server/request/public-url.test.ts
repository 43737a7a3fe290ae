import { networkInterfaces } from 'node:os'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createService, listen } from '../../../server/index.js'
import { certificate } from '../../helpers/certificate.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { connectFrames, FLAG, fields, frame, TYPE } from '../../helpers/http2-frames.js'
import { needs } from '../../helpers/needs.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { BROWSER } from '../../helpers/visitors.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'
import { openSender, serve } from '../serve.js'

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
  expect(answer).toMatchObject({
    status: 400,
    body: expect.stringMatching(/^The .*[Hh]ost.* \[bad-request\]\n$/),
  })
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
        body: expect.stringMatching(/ \[bad-request\]\n$/),
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
  expect(body).toContain('curl -NT file.iso http://send.example.org/\n')
})

test('an HTTP/1.0 client without a Host is told the address it came to', async () => {
  const { port } = await serve()
  const { body } = await exchange(port, 'GET / HTTP/1.0\r\n\r\n')
  expect(body).toContain(`curl -NT file.iso http://127.0.0.1:${port}/\n`)
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
  expect(usage).toContain(`curl -NT file.iso ${server.url}/\n`)
})

describe('a target that is a whole URL', () => {
  const put = (port: number, target: string, headers: Readonly<Record<string, string>> = {}) =>
    exchange(port, requestHead(`PUT ${target}`, { Host: 'field.example', 'Content-Length': '0', ...headers }))

  test.each([
    ['http://target.example/x', 'http://target.example'],
    ['HTTP://target.example:8080/x', 'http://target.example:8080'],
    ['http://target.example', 'http://target.example'],
    ['http://[2001:db8::1]:9000/x', 'http://[2001:db8::1]:9000'],
    // How we are reached is known from the connection, or from a proxy that is trusted.
    ['https://target.example/x', 'http://target.example'],
  ])('%s is the host of the links, and not the Host beside it', async (target, base) => {
    const { port, service } = await serve()
    const asked = await connectRaw(port)
    await asked.write(requestHead(`PUT ${target}`, { Host: 'field.example', 'Content-Length': '0' }))
    const [, location = ''] = await asked.until(/\r\nLocation: (\S+)\r\n/)
    expect(location.startsWith(`${base}/`)).toBe(true)
    expect(service.counts().sockets).toBe(1)
  })

  test.each([['http://user@target.example/x'], ['http:///x'], ['http://target.example:port/x']])(
    '%s is refused, though the Host beside it is good',
    async (target) => {
      const { port } = await serve()
      expect((await put(port, target)).status).toBe(400)
    },
  )

  test('needs a Host all the same, and goes behind what a trusted proxy says', async () => {
    const { port } = await serve({ trustProxy: ['loopback'] })
    const bare = 'PUT http://target.example/x HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
    expect((await exchange(port, bare)).status).toBe(400)
    const asked = await connectRaw(port)
    await asked.write(
      requestHead('PUT http://target.example/x', {
        Host: 'field.example',
        'X-Forwarded-Host': 'proxy.example',
        'Content-Length': '0',
      }),
    )
    await asked.until(/\r\nLocation: http:\/\/proxy\.example\//)
  })

  test('can be received by, looked at and asked for a page', async () => {
    const { port } = await serve()
    const sender = await openSender(port, { length: 2 })
    const target = `http://target.example/${sender.id}`
    expect((await exchange(port, requestHead(`HEAD ${target}`))).status).toBe(200)
    const page = await exchange(port, requestHead(`GET ${target}`, BROWSER))
    expect(page.body).toContain(target)
    const receiver = await connectRaw(port)
    await receiver.write(requestHead(`GET ${target}`))
    await sender.until(/"event":"connected"/)
    await sender.write('ok')
    await receiver.until(/ok$/)
  })

  test.each([
    ['target.example', 201],
    ['field.example', 403],
  ])(
    'a form of a page of http://%s is answered with %i where only our own pages may send',
    async (host, status) => {
      const { port } = await serve({ corsOrigins: ['https://app.example.org'] })
      const asked = await connectRaw(port)
      const head = { Host: 'field.example', Origin: `http://${host}`, 'Content-Length': '0' }
      await asked.write(requestHead('POST http://target.example/', head))
      const [, got] = await asked.until(/^HTTP\/1\.1 (\d{3}) /)
      expect(Number(got)).toBe(status)
    },
  )
})

describe('over HTTP/2', () => {
  beforeEach((context) => needs(context, 'openssl'))

  async function serveTls(): Promise<number> {
    const { path, keyPath } = await certificate()
    const server = await listen(createService(), { port: 0, tls: { certFile: path, keyFile: keyPath } })
    onTestFinished(() => within(DEADLINE_MS, 'the server stops', server.stopNow()))
    return server.port
  }

  function head(path: string, method: string, more: Readonly<Record<string, string>> = {}): Buffer {
    const pseudo = { ':method': method, ':path': path, ':scheme': 'https', ':authority': 'authority.example' }
    return frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, 1, fields({ ...pseudo, ...more }))
  }

  test(':authority is the host of the links', async () => {
    const peer = await connectFrames(await serveTls())
    await peer.send(head('/x', 'PUT', { 'content-length': '0' }))
    const { payload } = await peer.untilGot(TYPE.data)
    expect(payload.toString()).toMatch(/^https:\/\/authority\.example\//)
  })

  test('a path is no whole URL', async () => {
    const peer = await connectFrames(await serveTls())
    await peer.send(head('https://target.example/x', 'PUT', { 'content-length': '0' }))
    await peer.untilGot(TYPE.reset)
    expect(peer.got(TYPE.headers)).toEqual([])
  })

  test('OPTIONS * is answered', async () => {
    const peer = await connectFrames(await serveTls())
    await peer.send(head('*', 'OPTIONS'))
    // HPACK's static table has 204 as its ninth entry (RFC 7541, appendix A).
    expect((await peer.untilGot(TYPE.headers)).payload[0]).toBe(0x80 | 9)
  })
})

test.each([
  ['OPTIONS', 204],
  ['GET', 400],
  ['PUT', 400],
])('%s * is answered with %i', async (method, status) => {
  const { port } = await serve()
  expect((await exchange(port, requestHead(`${method} *`))).status).toBe(status)
})
