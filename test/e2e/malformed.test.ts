import { readFile } from 'node:fs/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { PROBLEMS, type ProblemCode } from '../../shared/index.js'
import { bytesOf } from '../helpers/bytes.js'
import { type Answer, exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import { expectCutOff, startReceiver, untilReceiving } from '../helpers/peers.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { type ServerHere, startServerHere } from '../helpers/start-server-here.js'

interface Case {
  readonly what: string
  /** Method and path. */
  readonly line: string
  readonly headers?: Readonly<Record<string, string>>
  readonly version?: string
  readonly code: ProblemCode
  /** Headers that the answer must have. */
  readonly expected?: Readonly<Record<string, unknown>>
}

const BODY = { 'Content-Length': '5' }
const CASES: readonly Case[] = [
  ...[
    '/short',
    '/abcdefghijklm',
    '/-bcdefghijkl',
    '/abcdefghijk-',
    '/_bcdefghijkl',
    '/abcdef.hijkl',
    '/abcdef%20ijkl',
    '/a/b/c',
    '//',
    '/abcdefghijkl/a/b',
    '/caf%C3%A9caf%C3%A9caf',
  ].map((path): Case => ({ what: `GET ${path}`, line: `GET ${path}`, code: 'not-found' })),
  { what: 'a PUT below a name', line: 'PUT /a/b', headers: BODY, code: 'method-not-allowed' },
  ...['/%', '/%zz', '/%ff', '/abcdefghijk%', '/%E0%A4%A'].flatMap((path): Case[] => [
    { what: `GET ${path}`, line: `GET ${path}`, code: 'bad-request' },
  ]),
  ...['/%', '/%zz', '/%ff'].map(
    (path): Case => ({ what: `PUT ${path}`, line: `PUT ${path}`, headers: BODY, code: 'bad-request' }),
  ),
  ...['abc', '-1', '0', '', 'NaN', 'Infinity', '1e999', '0x10', '1,5'].map(
    (ttl): Case => ({
      what: `?ttl=${ttl}`,
      line: `POST /?ttl=${ttl}`,
      headers: BODY,
      code: 'bad-request',
    }),
  ),
  ...['abc', '-1', 'NaN', 'Infinity'].map(
    (wait): Case => ({ what: `?wait=${wait}`, line: `GET /abcdefghijkl?wait=${wait}`, code: 'bad-request' }),
  ),
  ...(
    [
      ['DELETE', '/', /POST/],
      ['PATCH', '/', /POST/],
      ['PATCH', '/abcdefghijkl', /GET/],
      ['PROPFIND', '/', /POST/],
    ] as const
  ).map(
    ([method, path, allow]): Case => ({
      what: `${method} ${path}`,
      line: `${method} ${path}`,
      headers: { 'Content-Length': '0' },
      code: 'method-not-allowed',
      expected: { allow: expect.stringMatching(allow) },
    }),
  ),
  { what: 'POST /health', line: 'POST /health', headers: BODY, code: 'method-not-allowed' },
  { what: 'POST /abcdefghijkl', line: 'POST /abcdefghijkl', headers: BODY, code: 'not-found' },
  {
    what: 'a form without a boundary',
    line: 'POST /',
    headers: { ...BODY, 'Content-Type': 'multipart/form-data' },
    code: 'bad-request',
  },
  {
    what: 'a form in capitals, without one',
    line: 'POST /',
    headers: { ...BODY, 'Content-Type': 'Multipart/Form-Data; boundary=' },
    code: 'bad-request',
  },
  {
    what: 'an unknown expectation',
    line: 'POST /',
    headers: { ...BODY, Expect: 'a-miracle' },
    code: 'expectation-failed',
  },
  {
    what: 'an HTTP/1.0 sender',
    line: 'POST /',
    headers: BODY,
    version: 'HTTP/1.0',
    code: 'http-version-not-supported',
  },
  {
    what: 'a negative Content-Length',
    line: 'POST /',
    headers: { 'Content-Length': '-5' },
    code: 'bad-request',
  },
  {
    what: 'a Content-Length in words',
    line: 'POST /',
    headers: { 'Content-Length': 'five' },
    code: 'bad-request',
  },
  {
    what: 'both lengths (request smuggling)',
    line: 'POST /',
    headers: { ...BODY, 'Transfer-Encoding': 'chunked' },
    code: 'bad-request',
  },
  {
    what: 'an unknown transfer coding',
    line: 'POST /',
    headers: { 'Transfer-Encoding': 'braid' },
    code: 'bad-request',
  },
  { what: 'a head without a Host', line: 'GET /', headers: { Host: '' }, code: 'bad-request' },
  { what: 'a method that is none', line: 'BREW /', code: 'bad-request' },
  {
    what: 'a control character in a header',
    line: 'GET /',
    headers: { 'X-A': 'a\x01b' },
    code: 'bad-request',
  },
  { what: 'a space in a header name', line: 'GET /', headers: { 'X A': 'b' }, code: 'bad-request' },
  { what: 'a space in the path', line: 'GET /a b', code: 'bad-request' },
  { what: 'a version that is none', line: 'GET /', version: 'HTTP/one', code: 'bad-request' },
  {
    what: 'a head of 100 kB',
    line: 'GET /',
    headers: { 'X-Long': 'x'.repeat(100_000) },
    code: 'headers-too-large',
  },
  { what: 'a path of 100 kB', line: `GET /${'x'.repeat(100_000)}`, code: 'headers-too-large' },
]

async function expectAlive(server: ServerHere): Promise<void> {
  expect((await exchange(server.port, requestHead('GET /health'))).status).toBe(200)
}

function requestOf({ line, headers, version }: Case, accept?: string): string {
  const withBody = headers?.['Content-Length'] === '5' ? 'hello' : ''
  return requestHead(line, { ...headers, ...(accept && { Accept: accept }) }, version) + withBody
}

function expectText(answer: Answer, { code }: Case): void {
  expect(answer.headers['content-type']).toMatch(/^text\/plain/)
  expect(answer.body).toMatch(new RegExp(` \\[${code}\\]\n$`))
}

/** What the parser of HTTP refuses is refused before an `Accept` was read, so it may be text in any case. */
function expectJson(answer: Answer, { code }: Case): void {
  if (answer.headers['content-type']?.startsWith('text/plain') === true) {
    expect(['bad-request', 'headers-too-large']).toContain(code)
    return
  }
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(JSON.parse(answer.body)).toMatchObject({
    type: expect.stringMatching(new RegExp(`[:/#]${code}$`)),
    title: PROBLEMS[code].title,
    status: PROBLEMS[code].status,
  })
}

test.each(CASES)('$what is $code', async (testCase) => {
  const server = await startServerHere()
  const text = await exchange(server.port, requestOf(testCase))
  expect(text.status).toBe(PROBLEMS[testCase.code].status)
  expectText(text, testCase)
  if (testCase.expected) expect(text.headers).toMatchObject(testCase.expected)

  const json = await exchange(server.port, requestOf(testCase, 'application/problem+json'))
  expect(json.status).toBe(PROBLEMS[testCase.code].status)
  expectJson(json, testCase)
  await expectAlive(server)
})

test.each([
  { what: 'a bad chunk size', bytes: 'zz\r\nhello\r\n' },
  { what: 'a chunk longer than its size', bytes: '3\r\nhello\r\n' },
  { what: 'a chunk size beyond all numbers', bytes: 'ffffffffffffffffffff\r\n' },
  { what: 'a trailer that is none', bytes: '0\r\n\x00\r\n\r\n' },
])('$what midway fails both sides', async ({ bytes }) => {
  const server = await startServerHere()
  const { sender, url } = await openRaw(server, { 'Transfer-Encoding': 'chunked' })
  const receiver = await startReceiver('curl', url)
  await sender.write('186a0\r\n')
  await sender.write(bytesOf(100_000))
  await sender.write('\r\n')
  await untilReceiving(receiver)
  await sender.write(bytes)
  await expectCutOff(receiver)
  await expectNotDelivered(sender)
  await expectAlive(server)
})

test.each(['before the receiver came', 'midway'])(
  'both sides agree on a body that goes on beyond its Content-Length, %s',
  async (order) => {
    const server = await startServerHere()
    const { sender, url } = await openRaw(server, { 'Content-Length': '5' })
    if (order !== 'midway') await sender.write('hello, and this is too much')
    const receiver = await startReceiver('curl', url)
    if (order === 'midway') {
      await sender.write('he')
      await untilReceiving(receiver)
      await sender.write('llo, and this is too much')
    }
    // What was declared is whole, so it may be delivered; what is beyond it never is.
    const { code } = await receiver.ended()
    await sender.ending()
    expect(sender.text().includes('# delivered: 5 bytes\n')).toBe(code === 0)
    if (code === 0) expect(await readFile(receiver.path, 'utf8')).toBe('hello')
    await expectAlive(server)
  },
)

test('a body shorter than its Content-Length fails both sides', async () => {
  const server = await startServerHere()
  const { sender, url } = await openRaw(server, { 'Content-Length': '200000' })
  const receiver = await startReceiver('curl', url)
  await sender.write(bytesOf(100_000))
  await untilReceiving(receiver)
  sender.end()
  await expectCutOff(receiver)
  await expectNotDelivered(sender)
  await expectAlive(server)
})

test('a connection that says nothing sensible at all is answered and dropped', async () => {
  const server = await startServerHere()
  for (const nonsense of ['\x16\x03\x01\x02\x00\x01\x00', 'hello\r\n\r\n', '\r\n\r\n\x00\x00\r\n']) {
    const answer = await exchange(server.port, nonsense)
    expect(answer.status).toBe(400)
  }
  await expectAlive(server)
})

describe('with curl', () => {
  beforeEach((context) => needs(context, 'curl'))

  test('a receiver of a malformed id exits with curl’s 22', async () => {
    const server = await startServerHere()
    const receiver = await startReceiver('curl', `${server.url}/-not-an-id`)
    expect((await receiver.ended()).code).toBe(22)
  })
})

async function openRaw(
  server: ServerHere,
  headers: Readonly<Record<string, string>>,
): Promise<{ sender: RawPeer; url: string }> {
  const sender = await connectRaw(server.port)
  await sender.write(requestHead('POST /', headers))
  const [, path = ''] = await sender.until(/\r\nhttp:\/\/localhost(\/\S+)\n/)
  return { sender, url: server.url + path }
}

/** Neither the words nor the framing of the status stream say that all is well. */
async function expectNotDelivered(sender: RawPeer): Promise<void> {
  await sender.ending()
  expect(sender.text()).not.toContain('# delivered')
  expect(sender.text()).not.toMatch(/\r\n0\r\n\r\n$/)
}
