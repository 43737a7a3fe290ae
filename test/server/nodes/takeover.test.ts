import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createNetServer, type Server as NetServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { takesResetForEnd } from '../../../server/node/undici.js'
import { giveTo, type Taken, takeOver } from '../../../server/nodes/takeover.js'
import { certificate } from '../../helpers/certificate.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw, speakTls } from '../../helpers/raw-peer.js'
import { until, within } from '../../helpers/within.js'

const KIB = 1024

/** Around what Node's request holds (16 and 64 KiB), and beyond what the kernel holds. */
const LENGTHS = [0, 1, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 64 * KIB, 64 * KIB + 1, 3000 * KIB]

const HOSTS = [
  ['HTTP', async () => createServer({ highWaterMark: 16 * KIB })],
  ['HTTPS', async () => createHttpsServer({ ...(await certificate()), highWaterMark: 16 * KIB })],
] as const

async function listening(server: NetServer, isTls = false): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  if (isTls) speakTls(port)
  return port
}

/** A server, and the first of its requests with its response, some turns of the event loop after it came. */
async function asked(
  make: () => Promise<Server>,
  request: string,
): Promise<{ pair: [IncomingMessage, ServerResponse]; peer: Awaited<ReturnType<typeof connectRaw>> }> {
  const server = await make()
  const came = new Promise<[IncomingMessage, ServerResponse]>((resolve) => {
    server.on('request', (...pair) => setTimeout(() => resolve(pair), 20))
  })
  const port = await listening(server, 'setSecureContext' in server)
  const peer = await connectRaw(port)
  void peer.write(request).catch(() => undefined)
  return { pair: await within(5000, 'the request comes', came), peer }
}

/** Answers on a taken connection with all that came on it, when there are `length` bytes of it. */
async function echo(taken: Taken, length: number): Promise<void> {
  const { connection, bytes } = taken
  const parts = [bytes]
  connection.on('data', (part: Buffer) => parts.push(part))
  connection.resume()
  await until('all has come', () => Buffer.concat(parts).length >= length)
  connection.end(Buffer.concat(parts))
}

describe.each(HOSTS)('a connection taken over from %s', (_what, make) => {
  test.each(LENGTHS)('has every byte of a request with a body of %i bytes', async (length) => {
    const body = 'x'.repeat(Math.max(0, length - 1)) + 'y'.repeat(Math.min(1, length))
    const head = requestHead('PUT /somewhere?x=%20', { 'Content-Length': String(length), 'X-Name': 'ä' })
    const { pair, peer } = await asked(make, head + body)
    const taken = takeOver(...pair)
    if (taken === undefined) throw new Error('Expected a connection')
    const expected = `PUT /somewhere?x=%20 HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\nX-Name: ä\r\nConnection: close\r\n\r\n${body}`
    await echo(taken, expected.length)
    expect(await peer.ending()).toBe('fin')
    expect(peer.text() === expected).toBe(true)
  })

  test('says at another server too that it is from undici, which takes a reset for the end', async () => {
    const { pair } = await asked(make, 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\n\r\n')
    const { connection, bytes } = takeOver(...pair) ?? {}
    const fields: Record<string, string> = Object.fromEntries(
      String(bytes)
        .split('\r\n')
        .slice(1, -2)
        .map((line) => line.toLowerCase().split(': ')),
    )
    expect(takesResetForEnd({ rawHeaders: Object.entries(fields).flat(), headers: fields })).toBe(true)
    connection?.destroy()
  })

  test('passes to another server, which answers as if it had accepted it', async () => {
    const other = createServer((request, response) => {
      void text(request).then((body) => response.end(`${request.url} ${request.headers.host} ${body.length}`))
    })
    await listening(other)
    const request = requestHead('PUT /there', { 'Content-Length': '100000', Connection: 'keep-alive' })
    const { pair, peer } = await asked(make, request + 'x'.repeat(100_000))
    const taken = takeOver(...pair)
    if (taken === undefined) throw new Error('Expected a connection')
    giveTo(other, taken.connection, taken.bytes)
    expect(await peer.ending()).toBe('fin')
    expect(peer.text()).toMatch(/\r\n\r\n\/there localhost 100000$/)
  })

  test('is not closed by its own server, whose end takes no connection that it gave away', async () => {
    const { pair, peer } = await asked(make, requestHead('GET /'))
    const taken = takeOver(...pair)
    if (taken === undefined) throw new Error('Expected a connection')
    const [request] = pair
    // This closes every idle connection.
    const { server } = request.socket as unknown as { server: Server }
    server.close()
    await echo(taken, taken.bytes.length)
    expect(await peer.ending()).toBe('fin')
    expect(peer.text()).toMatch(/^GET \/ HTTP/)
  })

  test('passes on both ends of its client: a half-close and a reset', async () => {
    for (const end of ['end', 'reset'] as const) {
      const { pair, peer } = await asked(make, requestHead('GET /'))
      const taken = takeOver(...pair)
      if (taken === undefined) throw new Error('Expected a connection')
      const { connection } = taken
      const ended = new Promise((resolve) => {
        connection.once('end', () => resolve('end')).once('close', () => resolve('reset'))
      })
      connection.resume()
      peer[end]()
      expect(await within(5000, 'the end comes', ended)).toBe(end)
      connection.destroy()
    }
  })
})

describe('a connection is not taken over', () => {
  const [[, http]] = HOSTS
  test.each([
    ['with a chunked body', requestHead('PUT /', { 'Transfer-Encoding': 'chunked' }), undefined],
    ['of which an answer is out', requestHead('GET /'), (_: unknown, r: ServerResponse) => r.flushHeaders()],
    [
      'of whose body something was read',
      `${requestHead('PUT /', { 'Content-Length': '3' })}abc`,
      (request: IncomingMessage) => request.read(),
    ],
    [
      'that another program reads',
      requestHead('GET /'),
      ({ socket }: IncomingMessage) => socket.on('data', () => undefined),
    ],
    ['that has ended', requestHead('GET /'), ({ socket }: IncomingMessage) => socket.end()],
  ])('%s', async (_what, request, before) => {
    const { pair } = await asked(http, request)
    await before?.(...pair)
    expect(takeOver(...pair)).toBeUndefined()
    pair[0].socket.destroy()
  })

  test('behind an answer that is not complete', async () => {
    const pairs: [IncomingMessage, ServerResponse][] = []
    const server = createServer((...pair) => pairs.push(pair))
    const peer = await connectRaw(await listening(server))
    await peer.write(requestHead('GET /1', { Connection: 'keep-alive' }) + requestHead('GET /2'))
    await until('both requests', () => pairs.length === 2)
    const [, second] = pairs
    if (second === undefined) throw new Error('Expected two requests')
    expect(takeOver(...second)).toBeUndefined()
  })
})

test('a connection of which the head was read elsewhere is given to a server', async () => {
  const server = createServer((request, response) => {
    void text(request).then((body) => response.end(`${request.url} ${body}`))
  })
  await listening(server)
  const front = createNetServer((connection) => {
    connection.once('data', (bytes: Buffer) => {
      connection.pause()
      giveTo(server, connection, bytes)
    })
  })
  const port = await listening(front)
  const answer = await exchange(port, `${requestHead('PUT /x', { 'Content-Length': '5' })}hello`)
  expect(answer).toMatchObject({ status: 200, body: '/x hello' })
})
