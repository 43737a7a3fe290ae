import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { PROBLEMS } from '../../shared/index.js'
import { VERSION } from '../../shared/version.js'
import { bytesOf, writeFileOf } from '../helpers/bytes.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { needs } from '../helpers/needs.js'
import {
  connectReceiver,
  expectDelivered,
  expectReceived,
  expectRefused,
  type Sender,
  startReceiver,
  startSender,
  TOOLS,
} from '../helpers/peers.js'
import { runCurl } from '../helpers/run-curl.js'
import { type ServerHere, startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'

const BODY = bytesOf(5000)

beforeEach((context) => needs(context, 'curl'))

async function sendNamed(server: ServerHere, args: readonly string[] = []): Promise<Sender> {
  const path = join(await tempDir(), 'notes.pdf')
  await writeFileOf(path, BODY.length)
  return startSender('curl', server, { file: path }, args)
}

function pathOf(sender: Sender): string {
  return new URL(sender.url).pathname
}

function idOf(sender: Sender): string {
  return pathOf(sender).split('/')[1] ?? ''
}

/** Everything of protocol.md, chapter 3, for `notes.pdf`. */
function downloadHeaders(id: string): Record<string, string> {
  return {
    'content-type': 'application/pdf',
    'content-length': String(BODY.length),
    'content-disposition': 'attachment; filename="notes.pdf"',
    etag: `"${id}"`,
    'accept-ranges': 'none',
    connection: 'close',
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "sandbox; default-src 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-robots-tag': 'none',
    'access-control-allow-origin': '*',
  }
}

test('a download has every header of the protocol', async () => {
  const server = await startServerHere()
  const sender = await sendNamed(server, ['-H', 'Content-Type: application/pdf'])
  const answer = await exchange(server.port, requestHead(`GET ${pathOf(sender)}`))
  expect(answer.status).toBe(200)
  expect(answer.headers).toMatchObject(downloadHeaders(idOf(sender)))
  expect(answer.headers['access-control-expose-headers']).toMatch(/Content-Disposition/i)
  expect(answer.headers).not.toHaveProperty('transfer-encoding')
  expect(Buffer.compare(Buffer.from(answer.body, 'latin1'), BODY)).toBe(0)
  await expectDelivered(sender, BODY.length)
})

test('a download of unknown length is chunked, and has no Content-Length', async () => {
  const server = await startServerHere()
  const sender = await startSender('curl', server, 'held')
  sender.stdin.end(BODY)
  const answer = await exchange(server.port, requestHead(`GET ${pathOf(sender)}`))
  expect(answer.headers['transfer-encoding']).toBe('chunked')
  expect(answer.headers).not.toHaveProperty('content-length')
  expect(answer.headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-disposition': 'attachment',
  })
  expect(Buffer.compare(Buffer.from(answer.body, 'latin1'), BODY)).toBe(0)
  await expectDelivered(sender, BODY.length)
})

test('HEAD gives the same headers and consumes nothing', async () => {
  const server = await startServerHere()
  const sender = await sendNamed(server, ['-H', 'Content-Type: application/pdf'])
  for (let times = 0; times < 3; times++) {
    const head = await exchange(server.port, requestHead(`HEAD ${pathOf(sender)}`))
    expect(head.status).toBe(200)
    expect(head.headers).toMatchObject(downloadHeaders(idOf(sender)))
    expect(head.body).toBe('')
  }
  const curl = await (await runCurl(['--fail', '-I', sender.url])).ended()
  expect(curl.code).toBe(0)
  expect(sender.stdout()).not.toContain('"connected"')

  const receiver = await startReceiver('curl', sender.url)
  await expectReceived(receiver)
  await expectDelivered(sender, BODY.length)
  expect(Buffer.compare(await readFile(receiver.path), BODY)).toBe(0)
})

test('the id alone is enough, and any name after it will do', async () => {
  const server = await startServerHere()
  for (const suffix of ['', '/another-name.bin']) {
    const sender = await sendNamed(server)
    const receiver = await startReceiver('curl', `${server.url}/${idOf(sender)}${suffix}`)
    await expectReceived(receiver)
    await expectDelivered(sender, BODY.length)
  }
})

describe.each(TOOLS)('a second receiver, with %s', (tool) => {
  test('is refused while the first is served, which goes on unharmed', async () => {
    const server = await startServerHere()
    const sender = await startSender('curl', server, 'held')
    const first = await connectReceiver('curl', sender)
    await expectRefused(await startReceiver(tool, sender.url), 'busy')
    sender.stdin.end(BODY)
    await expectReceived(first)
    await expectDelivered(sender, BODY.length)
  })

  test('after the end finds it gone', async () => {
    const server = await startServerHere()
    const sender = await sendNamed(server)
    await expectReceived(await startReceiver('curl', sender.url))
    await expectDelivered(sender, BODY.length)
    await expectRefused(await startReceiver(tool, sender.url), 'gone')
  })

  test('on an id that never was finds nothing', async () => {
    const server = await startServerHere()
    await expectRefused(await startReceiver(tool, `${server.url}/abcdefghijkl`), 'not-found')
  })
})

test.each([
  { method: 'GET', state: 'busy', status: 409 },
  { method: 'HEAD', state: 'busy', status: 409 },
  { method: 'GET', state: 'gone', status: 410 },
  { method: 'HEAD', state: 'gone', status: 410 },
  { method: 'GET', state: 'not-found', status: 404 },
  { method: 'HEAD', state: 'not-found', status: 404 },
] as const)('$method of what is $state is $status', async ({ method, state, status }) => {
  const server = await startServerHere()
  const sender = await startSender('curl', server, 'held')
  if (state !== 'not-found') {
    const first = await connectReceiver('curl', sender)
    if (state === 'gone') {
      sender.stdin.end(BODY)
      await expectReceived(first)
      await expectDelivered(sender, BODY.length)
    }
  }
  const path = state === 'not-found' ? '/abcdefghijkl' : pathOf(sender)
  const answer = await exchange(server.port, requestHead(`${method} ${path}`))
  expect(answer.status).toBe(status)
  expect(answer.body).toMatch(method === 'HEAD' ? /^$/ : new RegExp(` \\[${state}\\]\n$`))
})

test.each([
  { by: '?wait=', query: '?wait=0.2', headers: {} },
  { by: 'Prefer: wait', query: '', headers: { Prefer: 'wait=1' } },
] as const)('$by on an id that never comes ends as 404', async ({ query, headers }) => {
  const server = await startServerHere()
  const answer = await exchange(server.port, requestHead(`GET /abcdefghijkl${query}`, headers))
  expect(answer.status).toBe(PROBLEMS['not-found'].status)
})

describe('an HTTP/1.0 receiver', () => {
  test('gets what has a known length', async () => {
    const server = await startServerHere()
    const sender = await sendNamed(server)
    const receiver = await startReceiver('curl', sender.url, ['-0'])
    await expectReceived(receiver)
    await expectDelivered(sender, BODY.length)
    expect(Buffer.compare(await readFile(receiver.path), BODY)).toBe(0)
  })

  test('is refused what has no known length, whose end it could not tell; and burns nothing', async () => {
    const server = await startServerHere()
    const sender = await startSender('curl', server, 'held')
    const refused = await startReceiver('curl', sender.url, ['-0'])
    await expectRefused(refused, 'http-version-not-supported')
    const receiver = await connectReceiver('curl', sender)
    sender.stdin.end(BODY)
    await expectReceived(receiver)
    await expectDelivered(sender, BODY.length)
  })
})

test.each([
  { sent: 'text/html; charset=utf-8', received: 'text/plain; charset=utf-8' },
  { sent: 'image/svg+xml', received: 'text/plain' },
  { sent: 'application/xhtml+xml', received: 'text/plain' },
  { sent: 'text/javascript', received: 'text/plain' },
  { sent: 'application/xml', received: 'text/plain' },
  { sent: 'TEXT/HTML', received: 'text/plain' },
  { sent: 'not a type', received: 'application/octet-stream' },
  { sent: 'image/png', received: 'image/png' },
])('"$sent" is received as "$received"', async ({ sent, received }) => {
  const server = await startServerHere()
  const sender = await sendNamed(server, ['-H', `Content-Type: ${sent}`])
  const answer = await exchange(server.port, requestHead(`GET ${pathOf(sender)}`))
  expect(answer.headers['content-type']).toBe(received)
})

test('GET / says how to use this very server', async () => {
  const server = await startServerHere()
  const { code, stdout } = await (await runCurl([`${server.url}/`])).ended()
  expect(code).toBe(0)
  expect(stdout.toString()).toContain(server.url)
  expect(stdout.toString()).toMatch(/curl .*-NT /)
})

test('GET /health is 200', async () => {
  const server = await startServerHere()
  const answer = await exchange(server.port, requestHead('GET /health'))
  expect(answer.status).toBe(200)
  expect(JSON.parse(answer.body)).toEqual({
    status: 'ok',
    version: VERSION,
    relay: expect.stringMatching(/^(?:streams|sockets|splice)$/),
  })
})

test('a preflight allows every page to send and to receive', async () => {
  const server = await startServerHere()
  for (const path of ['/', '/abcdefghijkl']) {
    const answer = await exchange(
      server.port,
      requestHead(`OPTIONS ${path}`, {
        Origin: 'https://example.org',
        'Access-Control-Request-Method': 'PUT',
      }),
    )
    expect([200, 204]).toContain(answer.status)
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': expect.stringMatching(/PUT/),
    })
  }
})
