import { beforeEach, describe, expect, test } from 'vitest'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { NO_CLIENT_LIMITS, startMeasured, type TestServer } from '../helpers/start-server.js'
import { needsProc } from '../helpers/unread.js'
import { DEADLINE_MS, until, within } from '../helpers/within.js'

const MIB = 1024 * 1024
/**
 * What is pushed at the server in all, and what of it may be seen in its memory. V8 begins to collect
 * unused buffers when there are 64 MiB of them; on a busy machine not before.
 */
const PUSHED_BYTES = 256 * MIB
const MAX_GROWTH_BYTES = 80 * MIB
/** A server that reads no more for so long is not going to. */
const STANDING_MS = 1000
/** By each connection; so many of them come at the same time. */
const EACH_BYTES = 16 * MIB
const AT_ONCE = 8

beforeEach((context) => needsProc(context))

/** Pushes on until the server has had enough, or all of it is out; then goes away. */
async function push(server: TestServer, beginning: string, piece: string): Promise<void> {
  const peer = await connectRaw(server.port)
  const bytes = Buffer.from(piece.repeat(Math.ceil(65_536 / piece.length)), 'latin1')
  try {
    await begin(server, peer, beginning)
    for (let sent = 0; sent < EACH_BYTES; sent += bytes.length) await peer.write(bytes, STANDING_MS)
  } catch {
    // Refused and dropped (EPIPE, ECONNRESET), or left standing in the kernel's buffers.
  }
  peer.reset()
}

/** The body of an upload comes when its receiver is there: before that, hardly any of it is read. */
async function begin(server: TestServer, peer: RawPeer, beginning: string): Promise<void> {
  const end = beginning.indexOf('\r\n\r\n')
  if (end === -1 || beginning.includes('multipart')) {
    await peer.write(beginning)
    return
  }
  await peer.write(beginning.slice(0, end + 4))
  const [, id] = await peer.until(/"id":"([^"]+)"/)
  const receiver = await connectRaw(server.port)
  await receiver.write(requestHead(`GET /${id}`))
  await peer.until(/"connected"/)
  await peer.write(beginning.slice(end + 4))
}

/** The server's highest resident memory until `done`: what a connection holds goes with it. */
async function peakWhile(server: TestServer, done: Promise<void>): Promise<number> {
  let isDone = false
  const finish = () => {
    isDone = true
  }
  done.then(finish, finish)
  let peak = 0
  await until(
    'the last byte is pushed',
    async () => {
      peak = Math.max(peak, await server.residentBytes())
      return isDone
    },
    4 * DEADLINE_MS,
  )
  await done
  return peak
}

async function pushAll(server: TestServer, bytes: number, beginning: string, piece: string): Promise<void> {
  for (let pushed = 0; pushed < bytes; pushed += AT_ONCE * EACH_BYTES)
    await Promise.all(Array.from({ length: AT_ONCE }, () => push(server, beginning, piece)))
}

const sends = (...lines: readonly string[]) =>
  `POST / HTTP/1.1\r\nHost: localhost\r\nAccept: application/x-ndjson\r\n${lines.map((line) => `${line}\r\n`).join('')}`
const CHUNKED = 'Transfer-Encoding: chunked'
const inForm = (beginning: string) =>
  `${sends('Content-Type: multipart/form-data; boundary=b', 'Content-Length: 1000000000')}\r\n--b\r\n${beginning}`

const ENDLESS: readonly (readonly [string, string, string])[] = [
  ['a request line', 'GET /', 'x'],
  ['a field', sends('X: '), 'x'],
  ['fields', sends(), 'X: y\r\n'],
  ['folded lines', sends('X: y'), ' y\r\n'],
  ['the extension of a chunk', `${sends(CHUNKED)}\r\n5;`, 'x'],
  ['chunks of one byte with extensions', `${sends(CHUNKED)}\r\n`, `1;${'x'.repeat(200)}\r\nx\r\n`],
  ['a field of a trailer', `${sends(CHUNKED)}\r\n0\r\nX: `, 'x'],
  ['fields of a trailer', `${sends(CHUNKED)}\r\n0\r\n`, 'X: y\r\n'],
  ['the head of a form’s part', inForm('X: '), 'x'],
  ['fields in the head of a form’s part', inForm(''), 'X: y\r\n'],
  [
    'parts of a form before its file',
    inForm(''),
    'Content-Disposition: form-data; name="a"\r\n\r\nb\r\n--b\r\n',
  ],
  ['a field of a form before its file', inForm('Content-Disposition: form-data; name="a"\r\n\r\n'), 'x'],
  [
    'the preamble of a form',
    `${sends('Content-Type: multipart/form-data; boundary=b', CHUNKED)}\r\nfff0000\r\n`,
    'x',
  ],
]

describe.each(['streams', 'sockets'])('read by %s,', (relay) => {
  test.each(ENDLESS)('%s without end costs no memory', async (_what, beginning, piece) => {
    const server = await startMeasured('--relay', relay, '--log', 'off', ...NO_CLIENT_LIMITS)
    // The first ones pay for the code, compiled.
    await pushAll(server, AT_ONCE * EACH_BYTES, beginning, piece)
    const before = await server.residentBytes()
    const peak = await peakWhile(server, pushAll(server, PUSHED_BYTES, beginning, piece))
    expect((peak - before) / MIB).toBeLessThan(MAX_GROWTH_BYTES / MIB)
    expect((await exchange(server.port, requestHead('GET /health'))).status).toBe(200)
  })
})

test.each([
  ['that say nothing', ''],
  ['with half a head each', `${sends()}X: ${'x'.repeat(10_000)}`],
  ['with half a form each', inForm(`Content-Disposition: form-data; name="a"\r\n\r\n${'x'.repeat(10_000)}`)],
  ['with half an upload each', `${sends(CHUNKED)}\r\n400\r\n${'x'.repeat(500)}`],
])('1,000 connections %s cost less than 64 KiB each', async (_what, bytes) => {
  const server = await startMeasured('--log', 'off', ...NO_CLIENT_LIMITS)
  const connectThousand = async () => {
    for (let index = 0; index < 1000; index++) {
      const peer = await connectRaw(server.port)
      if (bytes !== '') await peer.write(bytes)
    }
    // Behind them all in its queue.
    expect((await exchange(server.port, requestHead('GET /health'))).status).toBe(200)
  }
  // The first thousand pay for the code, compiled; they stay, so that the second find no memory that was freed.
  await connectThousand()
  const before = await server.residentBytes()
  await connectThousand()
  expect(((await server.residentBytes()) - before) / 1000 / 1024).toBeLessThan(64)
})

test('ranges by the thousand are refused, each time, and cost no memory', async () => {
  const server = await startMeasured('--log', 'off', ...NO_CLIENT_LIMITS)
  const Range = `bytes=${Array.from({ length: 2000 }, (_none, at) => `${at}-${at}`).join(',')}`.slice(
    0,
    15_000,
  )
  const sender = await connectRaw(server.port)
  await sender.write(requestHead('POST /', { 'Content-Length': '5' }))
  const [, path = ''] = await sender.until(/^http:\/\/[^/]+(\S+)$/m)
  const request = requestHead(`GET ${path}`, { Range, Connection: 'keep-alive' })
  const flood = async (times: number) => {
    const peer = await connectRaw(server.port)
    for (let sent = 0; sent < times; sent++) {
      const before = peer.text().length
      await peer.write(request)
      await within(
        DEADLINE_MS,
        'the range is refused',
        peer.until(new RegExp(`^[^]{${before}}HTTP/1\\.1 409 `)),
      )
    }
    peer.reset()
  }
  for (let round = 0; round < 10; round++) await flood(20)
  const before = await server.residentBytes()
  for (let round = 0; round < 100; round++) await flood(20)
  // 29 MiB of fields.
  expect(((await server.residentBytes()) - before) / MIB).toBeLessThan(16)
})
