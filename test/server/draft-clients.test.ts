import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import tus, { type UploadOptions } from 'tus-js-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { download } from '../../client/index.js'
import type { ServiceOptions } from '../../server/index.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { startTcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'
import { tempDir } from '../helpers/temp-dir.js'
import { DEADLINE_MS, within } from '../helpers/within.js'
import { openSender, type Served, serve } from './serve.js'

const SIZE = 5_000_000
const CUT_AT = 2_000_000
const PROTOCOLS = ['ietf-draft-05', 'ietf-draft-03'] as const

/** The library's types lack its newest option. */
type TusOptions = UploadOptions & { readonly protocol?: (typeof PROTOCOLS)[number] }

interface Behind extends Served {
  readonly proxy: TcpProxy
  /** Of the server, through the proxy. */
  readonly url: string
}

/** A server that senders reach through a proxy that a test can cut. */
async function serveBehindProxy(options: ServiceOptions = {}): Promise<Behind> {
  const served = await serve({ reservations: true, ...options })
  const proxy = await startTcpProxy(served.port)
  onTestFinished(() => proxy.close())
  return { ...served, proxy, url: `http://127.0.0.1:${proxy.port}` }
}

/** The two addresses of a reservation: the link without the proxy, the upload through it. */
async function reserve({ url, port }: Behind): Promise<{ link: string; upload: string }> {
  const answer = await fetch(`${url}/reserve`, { method: 'POST', headers: { accept: 'application/json' } })
  // The protocol says so, and the test fails if not.
  const { id, upload } = (await answer.json()) as { id: string; upload: string }
  return { link: `http://127.0.0.1:${port}/${id}`, upload }
}

/** Resolves when the client says that its upload is complete, with the offsets that it sent pieces from. */
function uploaded(file: Buffer | Readable, options: TusOptions): Promise<number[]> {
  const offsets: number[] = []
  const sent = new Promise<number[]>((resolve, reject) => {
    const settled: TusOptions = {
      storeFingerprintForResuming: false,
      retryDelays: [0, 100, 100],
      ...options,
      onBeforeRequest: (request) => {
        if (request.getMethod() === 'PATCH') offsets.push(Number(request.getHeader('Upload-Offset')))
      },
      onSuccess: () => resolve(offsets),
      onError: reject,
    }
    // Node's own kinds are taken too, which the types of the browser leave out.
    const upload = new tus.Upload(file as unknown as Blob, settled)
    onTestFinished(() => upload.abort())
    upload.start()
  })
  // A test may look at it later.
  sent.catch(() => {})
  return within(DEADLINE_MS, 'tus-js-client ends', sent)
}

/** Every byte that a receiver gets. */
async function received(link: string): Promise<Buffer> {
  const to = new PassThrough()
  const blocks: Buffer[] = []
  // Its memory is used again.
  to.on('data', (block: Buffer) => blocks.push(Buffer.from(block)))
  await within(DEADLINE_MS, 'the download', download(link, { to: { stream: to } }))
  return Buffer.concat(blocks)
}

/** A piece's head. */
const pieceOf = (length: number, headers: Readonly<Record<string, string>>) => ({
  'Content-Type': 'application/partial-upload',
  'Content-Length': String(length),
  ...headers,
})

describe.each(PROTOCOLS)('tus-js-client with %s', (protocol) => {
  test.each(['a file', 'a buffer'])(
    'sends 5 MB of %s to a reservation through a cut at 2 MB',
    async (kind) => {
      const behind = await serveBehindProxy()
      const content = randomBytes(SIZE)
      const path = join(await tempDir(), 'file.bin')
      await writeFile(path, content)
      const { link, upload } = await reserve(behind)
      const receiving = received(link)
      const cut = behind.proxy.arm({ kind: 'rst' }, 'up', CUT_AT)
      const file = kind === 'a file' ? createReadStream(path) : content
      const sending = uploaded(file, { protocol, uploadUrl: upload })
      await within(DEADLINE_MS, 'the cut', cut)
      const [first, second = 0, ...more] = await sending
      expect((await receiving).equals(content)).toBe(true)
      expect({ first, more }).toEqual({ first: 0, more: [] })
      expect(second).toBeGreaterThan(0)
      expect(behind.ends).toMatchObject([{ outcome: 'delivered', bytes: SIZE, confirmed: true }])
    },
  )

  test('reserves by itself, sends in pieces, and goes on after a cut', async () => {
    const behind = await serveBehindProxy()
    const content = randomBytes(SIZE)
    const path = join(await tempDir(), 'file.bin')
    await writeFile(path, content)
    let receiving: Promise<Buffer> | undefined
    const cut = behind.proxy.arm({ kind: 'rst' }, 'up', CUT_AT)
    const offsets = await uploaded(createReadStream(path), {
      protocol,
      endpoint: `${behind.url}/reserve?filename=tus.bin`,
      chunkSize: 1_500_000,
      onAfterResponse: (_request, response) => {
        if (response.getStatus() !== 201) return
        const [link = ''] = response.getBody().split('\n')
        receiving = received(link.replace(behind.url, `http://127.0.0.1:${behind.port}`))
      },
    })
    await within(DEADLINE_MS, 'the cut', cut)
    expect((await receiving)?.equals(content)).toBe(true)
    expect(offsets.slice(0, 2)).toEqual([0, 1_500_000])
    expect(behind.opened).toMatchObject([{ fileName: 'tus.bin', contentLength: SIZE }])
    expect(behind.ends).toMatchObject([{ outcome: 'delivered', bytes: SIZE, confirmed: true }])
  })

  test('is not told success before the receiver has the end of a stream', async () => {
    // It says ?0 with the last piece, because it does not know yet that the stream has ended there.
    const behind = await serveBehindProxy()
    const blocks = [randomBytes(500), randomBytes(500)]
    // Its end comes later.
    const stream = new Readable({ read: () => void (blocks.length > 0 && stream.push(blocks.shift())) })
    let link = ''
    const sending = uploaded(stream, {
      protocol,
      endpoint: `${behind.url}/reserve`,
      chunkSize: 500,
      uploadSize: 1000,
      retryDelays: [],
      onAfterResponse: (_request, response) => {
        if (response.getStatus() === 201) [link = ''] = response.getBody().split('\n')
      },
    })
    await expect.poll(() => link).toMatch(/^http/)
    const receiver = await connectRaw(behind.port)
    await receiver.write(requestHead(`GET ${new URL(link).pathname}`, { Connection: 'keep-alive' }))
    await receiver.until(/\r\n\r\n[\s\S]{1000}$/)
    receiver.reset()
    await expect(sending).rejects.toThrow(/response code: 502.*receiver-lost/s)
    expect(behind.ends).toMatchObject([{ outcome: 'receiver-lost' }])
  })

  test('fails when its receiver hangs up', async () => {
    const behind = await serveBehindProxy()
    const { link, upload } = await reserve(behind)
    const receiver = await connectRaw(behind.port)
    await receiver.write(requestHead(`GET ${new URL(link).pathname}`))
    const sending = uploaded(randomBytes(SIZE), { protocol, uploadUrl: upload, retryDelays: [0] })
    await receiver.until(/\r\n\r\n[\s\S]/)
    receiver.reset()
    await expect(sending).rejects.toThrow(/unable to resume upload.*response code: 410/s)
    expect(behind.ends).toMatchObject([{ outcome: 'receiver-lost' }])
  })

  test('is refused an empty file, which it would take for sent at once', async () => {
    const { url } = await serveBehindProxy()
    await expect(uploaded(Buffer.alloc(0), { protocol, endpoint: `${url}/reserve` })).rejects.toThrow(
      /takes an empty file for sent/,
    )
  })
})

describe('a client of the draft', () => {
  test('reserves with the upload resource as its Location, with the limit', async () => {
    const { port } = await serve({ reservations: true, maxUploadBytes: 1000 })
    const { status, headers, body } = await exchange(
      port,
      requestHead('POST /reserve', {
        'Upload-Complete': '?0',
        'Upload-Length': '900',
        'Content-Disposition': 'inline; filename="a.txt"',
      }),
    )
    const [link = '', upload] = body.split('\n')
    expect({ status, headers }).toMatchObject({
      status: 201,
      headers: { location: upload, 'upload-limit': 'max-size=1000' },
    })
    expect(link).toMatch(/\/a\.txt$/)
    const { pathname } = new URL(upload ?? '')
    expect((await exchange(port, requestHead(`HEAD ${pathname}`))).headers).toMatchObject({
      'upload-offset': '0',
      'upload-complete': '?0',
      'upload-length': '900',
      'upload-limit': 'max-size=1000',
    })
    const other = requestHead(`PATCH ${pathname}`, {
      ...pieceOf(0, { 'Upload-Offset': '0', 'Upload-Complete': '?0', 'Upload-Length': '901' }),
    })
    expect(await exchange(port, other)).toMatchObject({ status: 400, body: /900 bytes/ })
  })

  test('may not bring bytes with the reservation, nor more than the limit', async () => {
    const { port } = await serve({ reservations: true, maxUploadBytes: 1000 })
    const answer = async (headers: Readonly<Record<string, string>>) =>
      await exchange(port, requestHead('POST /reserve', headers))
    expect(await answer({ 'Upload-Complete': '?1' })).toMatchObject({ status: 400 })
    expect(await answer({ 'Upload-Complete': '?0', 'Content-Length': '5' })).toMatchObject({ status: 400 })
    expect(await answer({ 'Upload-Complete': '?0', 'Upload-Length': '1001' })).toMatchObject({
      status: 413,
      headers: { 'upload-limit': 'max-size=1000' },
    })
  })

  test.each(['POST /', 'PUT /a.txt'])('gets no early 201 for %s', async (target) => {
    const { port } = await serve({ reservations: true })
    const peer = await connectRaw(port)
    await peer.write(
      requestHead(target, {
        'Upload-Complete': '?1',
        'Content-Length': '5',
        'Upload-Draft-Interop-Version': '6',
      }),
    )
    await peer.until(/^HTTP\/1\.1 409 [\s\S]*reservation-required/)
    expect(peer.text()).not.toMatch(/HTTP\/1\.1 1\d\d/)
  })

  test('can send no piece as if it were a whole file', async () => {
    const { port } = await serve({ reservations: true })
    const reserved = await exchange(port, requestHead('POST /reserve', { 'Content-Length': '0' }))
    const { pathname } = new URL(reserved.body.split('\n')[1] ?? '')
    for (const [name, value] of [
      ['Upload-Complete', '?0'],
      ['Upload-Offset', '5'],
    ] as const) {
      const answer = await exchange(
        port,
        requestHead(`PUT ${pathname}`, { 'Content-Length': '5', [name]: value }),
      )
      expect(answer, name).toMatchObject({ status: 400, body: /piece of a file/ })
    }
  })

  test('is told what is wrong with a piece', async () => {
    const { port } = await serve({ reservations: true })
    const reserved = await exchange(port, requestHead('POST /reserve', { 'Content-Length': '0' }))
    const { pathname } = new URL(reserved.body.split('\n')[1] ?? '')
    const patch = async (headers: Readonly<Record<string, string>>) =>
      await exchange(port, requestHead(`PATCH ${pathname}`, headers))
    expect(await patch({ 'Content-Length': '5' })).toMatchObject({
      status: 415,
      headers: { 'accept-patch': 'application/partial-upload' },
    })
    expect(await patch(pieceOf(5, { 'Upload-Complete': '?1' }))).toMatchObject({
      status: 400,
      body: /Upload-Offset/,
    })
    expect(await patch(pieceOf(5, { 'Upload-Offset': '0' }))).toMatchObject({
      status: 400,
      body: /Upload-Complete/,
    })
    expect(await patch(pieceOf(5, { 'Upload-Offset': '3', 'Upload-Complete': '?1' }))).toMatchObject({
      status: 409,
      headers: { 'upload-offset': '0', 'upload-complete': '?0' },
      body: /mismatching-upload-offset/,
    })
    // To this one, an offset is the end of a file whose length it alone knows.
    const piece = pieceOf(5, {
      'Upload-Offset': '0',
      'Upload-Complete': '?0',
      'Upload-Draft-Interop-Version': '6',
    })
    expect(await patch(piece)).toMatchObject({ status: 400, body: /Upload-Length/ })
  })

  test('is not told the whole length as its offset before the verdict', async () => {
    const { port, ends } = await serve({ reservations: true })
    const reserved = await exchange(
      port,
      requestHead('POST /reserve', { 'Upload-Complete': '?0', 'Upload-Length': '5' }),
    )
    const { pathname } = new URL(reserved.headers['location'] ?? '')
    const receiver = await connectRaw(port)
    await receiver.write(requestHead(`GET ${new URL(reserved.body.split('\n')[0] ?? '').pathname}`))
    const sender = await connectRaw(port)
    const headers = pieceOf(5, { 'Upload-Offset': '0', 'Upload-Complete': '?1' })
    await sender.write(`${requestHead(`PATCH ${pathname}`, headers)}hello`)
    await receiver.until(/hello$/)
    sender.reset()
    const asking = await connectRaw(port)
    await asking.write(requestHead(`HEAD ${pathname}`, { 'Upload-Draft-Interop-Version': '6' }))
    // One that reads Upload-Complete is told at once.
    const other = await exchange(port, requestHead(`HEAD ${pathname}`))
    expect(other.headers).toMatchObject({ 'upload-offset': '5', 'upload-complete': '?0' })
    expect(asking.text()).toBe('')
    receiver.end()
    await asking.until(/^HTTP\/1\.1 204 /)
    expect(parseAnswer(asking.text()).headers).toMatchObject({
      'upload-offset': '5',
      'upload-complete': '?1',
    })
    expect(ends).toMatchObject([{ outcome: 'delivered', bytes: 5 }])
  })

  test('changes nothing for the others', async () => {
    const { port } = await serve({ reservations: true })
    const sender = await openSender(port, { length: 5 })
    const { headers } = await exchange(port, requestHead('POST /reserve', { 'Content-Length': '0' }))
    expect(headers['location']).not.toMatch(/uploads/)
    expect(headers).not.toHaveProperty('upload-limit')
    expect(sender.text()).not.toMatch(/^Upload-/m)
  })

  test('is told that resuming is off', async () => {
    const { port } = await serve({ reservations: true, resumeWithin: 0 })
    const reserved = await exchange(port, requestHead('POST /reserve', { 'Content-Length': '0' }))
    const { pathname } = new URL(reserved.body.split('\n')[1] ?? '')
    const headers = pieceOf(0, { 'Upload-Offset': '0', 'Upload-Complete': '?0' })
    for (const request of [requestHead(`PATCH ${pathname}`, headers), requestHead(`HEAD ${pathname}`)])
      expect(await exchange(port, request)).toMatchObject({
        status: 405,
        headers: { allow: 'PUT, POST, DELETE, OPTIONS' },
      })
  })
})

test('a page of another origin may do all that tus-js-client does', async () => {
  const { port } = await serve({ reservations: true })
  const Origin = 'https://app.example.org'
  for (const [target, method] of [
    ['/reserve', 'POST'],
    ['/uploads/abc', 'HEAD'],
    ['/uploads/abc', 'PATCH'],
    ['/uploads/abc', 'DELETE'],
  ]) {
    const asked = 'content-type,upload-complete,upload-draft-interop-version,upload-length,upload-offset'
    const { status, headers } = await exchange(
      port,
      requestHead(`OPTIONS ${target}`, {
        Origin,
        'Access-Control-Request-Method': method ?? '',
        'Access-Control-Request-Headers': `${asked},upload-metadata,upload-defer-length`,
      }),
    )
    const list = (name: string) => (headers[name] ?? '').toLowerCase().split(', ')
    expect(status).toBe(204)
    expect(headers).toMatchObject({
      'access-control-allow-origin': '*',
      'accept-patch': 'application/partial-upload',
    })
    expect(list('access-control-allow-methods')).toContain(method?.toLowerCase())
    expect(list('access-control-allow-headers')).toEqual(expect.arrayContaining(asked.split(',')))
    expect(list('access-control-expose-headers')).toEqual(
      expect.arrayContaining(['location', 'upload-offset', 'upload-length', 'upload-complete']),
    )
  }
})
