import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { assetEntries, assetOf } from '../../server/answer/web-assets.js'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { factsIn } from '../helpers/pages.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { startServerHere } from '../helpers/start-server-here.js'
import { tempDir } from '../helpers/temp-dir.js'
import { BROWSER } from '../helpers/visitors.js'
import { eventsOf, openSender, serve, untilEnded } from './serve.js'

const DIST = fileURLToPath(new URL('../../dist/web/', import.meta.url))
const SAME_ORIGIN = { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }
const JSON_WANTED = { Accept: 'application/json, application/problem+json' }

async function ask(port: number, target: string, headers: Record<string, string> = {}) {
  return await exchange(port, requestHead(target, headers))
}

const bytes = (body: string) => Buffer.from(body, 'latin1')

describe('a script or a style', () => {
  const script = assetEntries()?.send.file ?? 'expected the build to have made one'

  test('comes in the best coding that the browser takes, and is the same in each', async () => {
    const { port } = await serve({ web: true })
    const plain = await readFile(join(DIST, script))
    const tags = new Set<string>()
    for (const [accepts, coding, decode] of [
      ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
      ['br;q=0, gzip', 'gzip', gunzipSync],
      ['GZIP;q=0.5', 'gzip', gunzipSync],
      ['br;q=0.000, gzip;q=0', undefined, (body: Buffer) => body],
      ['zstd', undefined, (body: Buffer) => body],
    ] as const) {
      const { status, headers, body } = await ask(port, `GET /web/${script}`, { 'Accept-Encoding': accepts })
      expect({ accepts, status, coding: headers['content-encoding'] }).toEqual({
        accepts,
        status: 200,
        coding,
      })
      expect(headers).toMatchObject({
        'content-type': 'text/javascript; charset=utf-8',
        'content-length': String(body.length),
        'cache-control': 'public, max-age=31536000, immutable',
        vary: 'Accept-Encoding',
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
      })
      expect(decode(bytes(body)).equals(plain), accepts).toBe(true)
      tags.add(headers['etag'] ?? '')
    }
    // One for each coding (RFC 9110, 8.8.3).
    expect(tags.size).toBe(3)
  })

  test('HEAD says the same without it, and a browser that has it is told so', async () => {
    const { port } = await serve({ web: true })
    const { headers } = await ask(port, `GET /web/${script}`)
    const head = await ask(port, `HEAD /web/${script}`)
    expect(head).toEqual({ status: 200, headers: { ...headers, date: expect.anything() }, body: '' })
    const known = { 'If-None-Match': `"x", ${headers['etag']}` }
    expect(await ask(port, `GET /web/${script}`, known)).toMatchObject({ status: 304, body: '' })
    expect(await ask(port, `GET /web/${script}`, { 'If-None-Match': '"x"' })).toMatchObject({ status: 200 })
  })

  test('the licences of what is in them come too', async () => {
    const { port } = await serve({ web: true })
    const { status, headers } = await ask(port, 'GET /web/LICENSES.txt')
    expect({ status, ...headers }).toMatchObject({
      status: 200,
      'content-type': 'text/plain; charset=utf-8',
      // Its name stays when its content changes.
      'cache-control': 'no-cache',
    })
  })

  test.each([
    '/web/manifest.json',
    '/web/send-AAAAAAAA.js',
    '/web/constructor',
    `/web/${script}.br`,
    '/web/..%2f..%2fserver%2fmain.js',
    '/web/%2e%2e/package.json',
    '/web/',
  ])('nothing else is there: %s', async (place) => {
    const { port } = await serve({ web: true })
    expect(await ask(port, `GET ${place}`)).toMatchObject({
      status: 404,
      headers: { 'cache-control': 'no-store, no-transform' },
    })
  })

  test('is read once', () => {
    expect(assetOf(script, 'br')?.body).toBe(assetOf(script, 'br')?.body)
  })
})

describe('with web off', () => {
  test.each([
    ['a service', async () => (await serve()).port],
    ['ess-server --web=false', async () => (await startServerHere('--web=false')).port],
  ])('%s shows a browser the text, and has no scripts', async (_name, start) => {
    const port = await start()
    const { headers, body } = await ask(port, 'GET /', BROWSER)
    expect(headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(body).toContain('curl -NT file.iso')
    for (const place of ['LICENSES.txt', 'manifest.json', assetEntries()?.send.file])
      expect((await ask(port, `GET /web/${place}`)).status, place).toBe(404)
    const sender = await openSender(port, { target: 'PUT /notes.txt', length: 5 })
    const page = await ask(port, `GET /${sender.id}`, BROWSER)
    expect(page.body).toContain('<form method="post"><button>Download</button></form>')
    expect(page.body).not.toContain('<script')
    expect((await ask(port, 'POST /reserve', SAME_ORIGIN)).status).toBe(404)
  })
})

describe('a reservation without --reservations', () => {
  const local = (port: number) => ({ Origin: `http://localhost:${port}`, Host: `localhost:${port}` })

  test.each<[string, string, (port: number) => Record<string, string>, number]>([
    ["of the server's own page", 'POST', () => SAME_ORIGIN, 201],
    ['of that page over plain HTTP', 'POST', local, 201],
    ['by another method', 'GET', () => SAME_ORIGIN, 404],
    ['of a program', 'POST', () => ({}), 404],
    ['of a bookmark', 'POST', () => ({ 'Sec-Fetch-Site': 'none' }), 404],
    ['of a neighbour', 'POST', () => ({ 'Sec-Fetch-Site': 'same-site' }), 404],
    ['of another site', 'POST', () => ({ 'Sec-Fetch-Site': 'cross-site', Origin: 'https://a.example' }), 404],
    [
      'of another site that says our origin',
      'POST',
      (port) => ({ ...local(port), 'Sec-Fetch-Site': 'cross-site' }),
      404,
    ],
    ['of another origin', 'POST', (port) => ({ ...local(port), Origin: 'http://a.example' }), 404],
    ['of another port', 'POST', (port) => ({ ...local(port), Origin: 'http://localhost:1' }), 404],
    ['of no origin', 'POST', () => ({ Origin: 'null' }), 404],
  ])('%s, by %s', async (_who, method, headersFor, status) => {
    const { port, service } = await serve({ web: true })
    const answer = await ask(port, `${method} /reserve`, { ...JSON_WANTED, ...headersFor(port) })
    expect(answer.status).toBe(status)
    expect(service.sockets()).toHaveLength(status === 201 ? 1 : 0)
    if (status === 404) expect(answer.body).toContain('urn:ess:problem:not-found')
  })

  test('the name that the operator has given counts behind a proxy', async () => {
    const { port } = await serve({ web: true, baseUrl: 'https://send.example.org/share' })
    const from = (origin: string) => ({ ...JSON_WANTED, Origin: origin })
    expect((await ask(port, 'POST /reserve', from('https://send.example.org'))).status).toBe(201)
    expect((await ask(port, 'POST /reserve', from('https://example.org'))).status).toBe(404)
  })

  test('takes its file in pieces, and tells the page its events', async () => {
    const served = await serve({ web: true })
    const { port } = served
    const reserved = await ask(port, 'POST /reserve', {
      ...JSON_WANTED,
      ...SAME_ORIGIN,
      'Ess-Sealed': 'c2VhbGVkIG5vdGU',
    })
    const { id, upload } = JSON.parse(reserved.body) as { id: string; upload: string }
    const { pathname } = new URL(upload)

    // The page of the link can open the note before the sender comes.
    const page = await ask(port, `GET /${id}`, BROWSER)
    expect(factsIn(page.body).link).toEqual({
      id,
      contentType: 'application/octet-stream',
      sealed: 'c2VhbGVkIG5vdGU',
      isNoted: true,
      isReady: false,
      isResumable: false,
    })

    const events = await connectRaw(port)
    await events.write(requestHead(`GET ${pathname}/events`, { Accept: 'application/x-ndjson' }))
    await events.until(/"event":"reserved"/)
    const receiver = await connectRaw(port)
    await receiver.write(requestHead(`GET /${id}`))
    for (const [offset, piece, isLast] of [
      [0, 'hello ', false],
      [6, 'world', true],
    ] as const) {
      const peer = await connectRaw(port)
      const head = requestHead(`PATCH ${pathname}`, {
        ...SAME_ORIGIN,
        'Content-Type': 'application/partial-upload',
        'Content-Length': String(piece.length),
        'Upload-Offset': String(offset),
        'Upload-Complete': isLast ? '?1' : '?0',
      })
      await peer.write(head + piece)
      // The last one is answered when the receiver has everything.
      if (!isLast) await peer.until(/^HTTP\/1\.1 204/)
    }
    await receiver.until(/hello \r\n5\r\nworld\r\n0\r\n/)
    await receiver.ending()
    receiver.end()
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', bytes: 11 }])
    await events.ending()
    expect(eventsOf(events).at(-1)).toMatchObject({ event: 'delivered' })
  })

  test('takes its file by one PUT where the server resumes nothing', async () => {
    const served = await serve({ web: true, resumeWithin: 0 })
    const { port } = served
    expect(factsIn((await ask(port, 'GET /', BROWSER)).body).resumeWithin).toBe(0)
    const reserved = await ask(port, 'POST /reserve', { ...JSON_WANTED, ...SAME_ORIGIN })
    const { id, upload } = JSON.parse(reserved.body) as { id: string; upload: string }
    const receiver = await connectRaw(port)
    await receiver.write(requestHead(`GET /${id}`))
    const sender = await connectRaw(port)
    await sender.write(
      `${requestHead(`PUT ${new URL(upload).pathname}`, { ...SAME_ORIGIN, 'Content-Length': '5' })}hello`,
    )
    await receiver.until(/\r\n\r\nhello/)
    await receiver.ending()
    receiver.end()
    await sender.until(/^HTTP\/1\.1 200/)
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', bytes: 5 }])
  })
})

describe('where a token is asked for', () => {
  const TOKEN = 'a-token-that-is-long-enough'

  async function withTokens() {
    const file = join(await tempDir(), 'tokens')
    await writeFile(file, `${TOKEN}\n`, { mode: 0o600 })
    return await startServerHere('--send-tokens', file)
  }

  test('the page loads without it, and knows that it has to ask', async () => {
    const { port } = await withTokens()
    const page = await ask(port, 'GET /', BROWSER)
    expect(page.status).toBe(200)
    expect(factsIn(page.body)).toMatchObject({ needsTokenToSend: true, needsTokenToReceive: false })
  })

  test('its script is refused without the dialog of the browser, and let in with it', async () => {
    const { port } = await withTokens()
    const refused = await ask(port, 'POST /reserve', { ...JSON_WANTED, ...SAME_ORIGIN })
    expect(refused).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="ESS"', 'content-type': 'application/problem+json' },
    })
    expect(JSON.parse(refused.body)).toMatchObject({ type: 'urn:ess:problem:unauthorized' })
    const authorized = { ...JSON_WANTED, ...SAME_ORIGIN, Authorization: `Bearer ${TOKEN}` }
    expect((await ask(port, 'POST /reserve', authorized)).status).toBe(201)
  })
})

test('--required-referer holds for the page too', async () => {
  const { port } = await serve({ web: true, requiredReferer: 'https://send.example.org/' })
  const refused = await ask(port, 'POST /reserve', { ...JSON_WANTED, ...SAME_ORIGIN })
  expect(refused).toMatchObject({ status: 403, body: expect.stringContaining('bad-referer') })
  const referer = { Referer: 'https://send.example.org/' }
  expect((await ask(port, 'POST /reserve', { ...JSON_WANTED, ...SAME_ORIGIN, ...referer })).status).toBe(201)
})

test.each([
  ['a file', 'PUT /notes.txt', { 'Content-Type': 'text/plain; charset=utf-8' }, 'notes.txt', false],
  ['a file without a name', 'PUT /', {}, 'A file without a name', false],
  ['a text', 'PUT /', { 'Content-Type': 'text/plain; charset=utf-8' }, 'A text', true],
  ['a bundle', 'PUT /photos.tar', { 'Ess-Bundle': 'tar;entries=3' }, 'photos.tar', true],
  ['a sealed file', 'PUT /', { 'Ess-Sealed': 'c2VhbGVkIG5vdGU' }, 'An encrypted file', true],
] as const)(
  'the button of %s is there at once, or waits for the script that does better',
  async (_what, target, headers, heading, isForScript) => {
    const { port } = await serve({ web: true })
    const { id } = await openSender(port, { target, length: 5, headers })
    const { body } = await ask(port, `GET /${id}`, BROWSER)
    expect(body).toContain(`<h1>${heading}</h1>`)
    const [head = '', rest = ''] = body.split('<form method="post">')
    expect(head.includes('<div class="without-script">')).toBe(isForScript)
    expect(rest).toMatch(/^<button>Download( it encrypted)?<\/button><\/form>/)
  },
)

test('a name can neither end the facts nor become an element', async () => {
  const { port } = await serve({ web: true })
  const name = `<script>alert(1)<!--&"'.txt`
  const sender = await openSender(port, { target: `PUT /${encodeURIComponent(name)}`, length: 5 })
  const page = await ask(port, `GET /${sender.id}`, BROWSER)
  // What the page does before its module is there, the module, and the facts.
  expect(page.body.match(/<script/g)).toHaveLength(3)
  expect(page.body).not.toContain('<!--')
  expect(factsIn(page.body).link?.name).toBe(name)
})

test('the page is told of the limits, the links and the client of its server', async () => {
  const { port } = await serve({
    web: true,
    serveClient: true,
    baseUrl: 'https://send.example.org/share/',
    maxUploadBytes: 1000,
    ttl: 90,
    resumeWithin: 30,
  })
  expect(factsIn((await ask(port, 'GET /', BROWSER)).body)).toEqual({
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    root: './',
    base: 'https://send.example.org/share',
    maxUploadBytes: 1000,
    ttl: 90,
    resumeWithin: 30,
    needsTokenToSend: false,
    needsTokenToReceive: false,
    servesClient: true,
  })
})
