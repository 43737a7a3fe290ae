import { describe, expect, test } from 'vitest'
import type { ServiceOptions } from '../../server/index.js'
import { parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { IS_BALANCED } from '../helpers/other-node.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { BROWSER } from '../helpers/visitors.js'
import { until } from '../helpers/within.js'
import {
  chunk,
  eventsOf,
  expectCutOff,
  LAST_CHUNK,
  openSender,
  type RawSender,
  type Served,
  serve,
} from './serve.js'

const PIECE = { 'Content-Type': 'application/partial-upload', Connection: 'keep-alive' }

/** A file whose bytes say where they stand. */
const fileOf = (length: number) =>
  Buffer.from(Array.from({ length }, (_value, at) => 97 + ((at * 7 + (at >> 8)) % 26)))

interface Resumable extends Served {
  readonly sender: RawSender
  /** The path of the upload resource. */
  readonly upload: string
}

/** A sender that can go on, of a file of this length; chunked when it is undefined. */
async function open(
  length: number | undefined,
  options: ServiceOptions = {},
  ability = 'rewind',
): Promise<Resumable> {
  const served = await serve(options)
  const sender = await openSender(served.port, {
    ...(length !== undefined && { length }),
    headers: { 'Ess-Resume': ability },
  })
  const [, upload = ''] = await sender.until(/"upload":"http:\/\/localhost(\/uploads\/[^"]+)"/)
  return { ...served, sender, upload }
}

async function ask(
  port: number,
  target: string,
  headers: Readonly<Record<string, string>> = {},
  options: { from?: string } = {},
): Promise<RawPeer> {
  const peer = await connectRaw(port, options)
  await peer.write(requestHead(target, headers))
  return peer
}

async function answerTo(port: number, target: string, headers: Readonly<Record<string, string>> = {}) {
  const peer = await ask(port, target, { ...headers, Connection: 'close' })
  expect(await peer.ending()).toBe('fin')
  return parseAnswer(peer.text())
}

/** The bytes of the body that a receiver has read so far, without their chunks. */
const bodyOf = (peer: RawPeer) => {
  const text = peer.text()
  const start = text.indexOf('\r\n\r\n') + 4
  const raw = text.slice(start)
  return /transfer-encoding: chunked/i.test(text.slice(0, start)) ? unchunked(raw) : raw
}

function unchunked(raw: string): string {
  let text = ''
  let at = 0
  for (;;) {
    const end = raw.indexOf('\r\n', at)
    if (end < 0) return text
    const size = Number.parseInt(raw.slice(at, end), 16)
    text += raw.slice(end + 2, end + 2 + size)
    if (size === 0 || end + 4 + size > raw.length) return text
    at = end + 4 + size
  }
}

const KINDS = [
  { kind: 'a file of 40 bytes', length: 40, isChunked: false },
  { kind: 'a file of 300,000 bytes', length: 300_000, isChunked: false },
  { kind: 'a file of 3 MB', length: 3_000_000, isChunked: false },
  { kind: 'a pipe of 300,000 bytes', length: 300_000, isChunked: true },
]

describe.each(KINDS)('$kind', ({ length, isChunked }) => {
  const file = fileOf(length)
  const cutAt = Math.floor(length / 3)
  const declared = isChunked ? undefined : length
  const framed = (bytes: Buffer) =>
    isChunked
      ? Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
      : bytes

  test('goes on after the sender is cut, and the receiver notices nothing', async () => {
    const { port, sender, upload, ends } = await open(declared)
    const receiver = await ask(port, `GET /${sender.id}`)
    await sender.until(/"connected"/)
    await sender.write(framed(file.subarray(0, cutAt)))
    await receiver.until(/\r\n\r\n[\s\S]/)
    const follower = await ask(port, `GET ${upload}/events`, { Accept: 'application/x-ndjson' })
    await follower.until(/"event":"opened"/)
    sender.reset()
    await follower.until(/"event":"interrupted","side":"sender"/)
    const head = await answerTo(port, `HEAD ${upload}`)
    expect(head).toMatchObject({
      status: 204,
      headers: { 'upload-complete': '?0', 'cache-control': 'no-store' },
    })
    expect(head.headers['upload-length']).toBe(declared?.toString())
    const offset = Number(head.headers['upload-offset'])
    expect(offset).toBeGreaterThan(0)
    expect(offset).toBeLessThanOrEqual(cutAt)
    const again = await ask(port, `PATCH ${upload}`, {
      ...PIECE,
      'Upload-Offset': String(offset),
      'Upload-Complete': '?1',
      ...(isChunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(length - offset) }),
    })
    await again.write(framed(file.subarray(offset)))
    if (isChunked) await again.write(LAST_CHUNK)
    await receiver.ending()
    expect(bodyOf(receiver)).toBe(file.toString('latin1'))
    receiver.end()
    await again.until(/^HTTP\/1\.1 200 OK[\s\S]*delivered/)
    await follower.until(/"event":"delivered"/)
    expect(
      eventsOf(follower)
        .map(({ event }) => event)
        .filter((event) => event !== 'progress'),
    ).toEqual(['opened', 'connected', 'interrupted', 'resumed', 'delivered'])
    expect(ends.map(({ outcome, bytes, confirmed }) => ({ outcome, bytes, confirmed }))).toEqual([
      { outcome: 'delivered', bytes: length, confirmed: true },
    ])
  })

  test('goes on after the receiver is cut', async () => {
    const { port, sender, upload, ends } = await open(declared)
    const receiver = await ask(port, `GET /${sender.id}`)
    await sender.until(/"connected"/)
    await sender.write(framed(file.subarray(0, cutAt)))
    await receiver.until(/\r\n\r\n[\s\S]/)
    const had = bodyOf(receiver)
    expect(had.length).toBeGreaterThan(0)
    receiver.reset()
    await sender.until(/"event":"interrupted","side":"receiver"/)
    const from = had.length
    const back = await ask(port, `GET /${sender.id}`, {
      ...(isChunked ? { 'Ess-Offset': String(from) } : { Range: `bytes=${from}-` }),
      'If-Match': `"${sender.id}"`,
      TE: 'trailers',
    })
    const [, offset = '', next = ''] = await sender.until(
      /"event":"rewind","offset":(\d+),"upload":"http:\/\/localhost([^"]+)"/,
    )
    expect(Number(offset)).toBe(from)
    expect(next).not.toBe(upload)
    expect(await sender.ending()).toBe('fin')
    expect(sender.text()).toMatch(/\r\n0\r\n\r\n$/)
    expect(await answerTo(port, `HEAD ${upload}`)).toMatchObject({
      status: 409,
      headers: { 'upload-offset': offset, location: `http://localhost${next}` },
    })
    expect((await answerTo(port, `HEAD ${next}`)).headers['upload-offset']).toBe(offset)
    const again = await ask(port, `PATCH ${next}`, {
      ...PIECE,
      'Upload-Offset': offset,
      'Upload-Complete': '?1',
      ...(isChunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': String(length - from) }),
    })
    await again.write(framed(file.subarray(from)))
    if (isChunked) await again.write(LAST_CHUNK)
    await back.ending()
    const head = parseAnswer(back.text())
    if (isChunked) expect(head).toMatchObject({ status: 200, headers: { 'ess-offset': offset } })
    else
      expect(head).toMatchObject({
        status: 206,
        headers: {
          'content-range': `bytes ${from}-${length - 1}/${length}`,
          'accept-ranges': 'bytes',
          etag: `"${sender.id}"`,
        },
      })
    expect(had + bodyOf(back)).toBe(file.toString('latin1'))
    back.end()
    await again.until(/^HTTP\/1\.1 200 OK[\s\S]*delivered/)
    expect(ends).toMatchObject([{ outcome: 'delivered', bytes: length, confirmed: true }])
  })
})

test('a sender that says nothing of going on fails at once', async () => {
  const { port, ends } = await serve()
  const sender = await openSender(port, { length: 10 })
  const receiver = await ask(port, `GET /${sender.id}`)
  await sender.until(/"connected"/)
  await sender.write('hello')
  await receiver.until(/hello/)
  sender.reset()
  await expectCutOff(receiver)
  expect(ends).toMatchObject([{ outcome: 'sender-lost' }])
})

test('a file comes in pieces', async () => {
  const { port, ends } = await serve({ reservations: true })
  const file = fileOf(100_000)
  const reserved = await answerTo(port, 'POST /reserve', {
    Accept: 'application/json',
    'Content-Length': '0',
  })
  const { id, upload } = JSON.parse(reserved.body) as { id: string; upload: string }
  const path = new URL(upload).pathname
  const receiver = await ask(port, `GET /${id}`)
  let sender = await connectRaw(port)
  /** What was said on connections before. */
  let said = ''
  const answers: number[] = []
  const offsets = () =>
    [...(said + sender.text()).matchAll(/Upload-Offset: (\d+)\r\n/gi)].map(([, offset]) => Number(offset))
  for (const [at, end] of [
    [0, 40_000],
    [40_000, 40_000],
    [40_000, 90_000],
    [90_000, 100_000],
  ] as const) {
    const isLast = end === file.length
    await sender.write(
      requestHead(`PATCH ${path}`, {
        ...PIECE,
        'Upload-Offset': String(at),
        'Upload-Complete': isLast ? '?1' : '?0',
        'Upload-Length': '100000',
        'Content-Length': String(end - at),
      }),
    )
    await sender.write(file.subarray(at, end))
    answers.push(end)
    if (isLast) continue
    await until('the piece is answered', () => offsets().length === answers.length)
    // From another node, each answer ends its connection.
    if (!/connection: close/i.test(sender.text())) continue
    said += sender.text()
    sender = await connectRaw(port)
  }
  await receiver.ending()
  expect(parseAnswer(receiver.text()).headers['content-length']).toBe('100000')
  expect(bodyOf(receiver)).toBe(file.toString('latin1'))
  receiver.end()
  await sender.until(/HTTP\/1\.1 200 OK[\s\S]*delivered/)
  expect(offsets()).toEqual(answers)
  expect(ends).toMatchObject([{ outcome: 'delivered', bytes: 100_000 }])
})

test('the next piece is taken while the server stops', async () => {
  const { port, service, ends } = await serve({ reservations: true })
  const reserved = await answerTo(port, 'POST /reserve', {
    Accept: 'application/json',
    'Content-Length': '0',
  })
  // Its form is looked at by a test of its own.
  const { id, upload } = JSON.parse(reserved.body) as { id: string; upload: string }
  const receiver = await ask(port, `GET /${id}`)
  const piece = async (offset: number, text: string, isLast: boolean) => {
    const sender = await ask(port, `PATCH ${new URL(upload).pathname}`, {
      ...PIECE,
      'Upload-Offset': String(offset),
      'Upload-Complete': isLast ? '?1' : '?0',
      'Upload-Length': '10',
      'Content-Length': String(text.length),
    })
    await sender.write(text)
    return sender
  }
  await (await piece(0, 'hello', false)).until(/^HTTP\/1\.1 204 /)
  const stopped = service.close({ drain: 60 })
  const last = await piece(5, 'world', true)
  await receiver.ending()
  receiver.end()
  await last.until(/^HTTP\/1\.1 200 [\s\S]*delivered/)
  await stopped
  expect(ends).toMatchObject([{ outcome: 'delivered', bytes: 10 }])
})

test('a chunk that broke off is not taken for the beginning of the next one', async () => {
  const { port, sender, upload } = await open(undefined)
  const receiver = await ask(port, `GET /${sender.id}`)
  await sender.until(/"connected"/)
  await sender.write('100\r\nhello')
  await receiver.until(/hello/)
  sender.reset()
  const again = await ask(port, `PATCH ${upload}`, {
    ...PIECE,
    'Upload-Offset': '5',
    'Upload-Complete': '?1',
    'Transfer-Encoding': 'chunked',
  })
  await again.write(chunk(' world') + LAST_CHUNK)
  await receiver.ending()
  expect(bodyOf(receiver)).toBe('hello world')
})

describe('a sender that missed its verdict', () => {
  test('finds out that the file was delivered', async () => {
    const { port, sender, upload } = await open(5)
    const receiver = await ask(port, `GET /${sender.id}`)
    await sender.until(/"connected"/)
    await sender.write('hello')
    await receiver.ending()
    sender.reset()
    receiver.end()
    await until(
      'the transfer is over',
      async () => (await answerTo(port, `HEAD ${upload}`)).headers['upload-complete'] === '?1',
    )
    expect((await answerTo(port, `HEAD ${upload}`)).headers['upload-offset']).toBe('5')
    const { status, body } = await answerTo(port, `GET ${upload}/events`, { Accept: 'application/x-ndjson' })
    expect({ status, event: JSON.parse(body) }).toEqual({
      status: 200,
      event: { event: 'delivered', bytes: 5, confirmed: true },
    })
  })

  test.each([
    ['with nothing left to bring', 5, 0, 200, '"delivered"'],
    ['with bytes that came already', 3, 2, 410, 'gone'],
  ])('finds out by its next request, %s', async (_name, offset, length, status, word) => {
    const { port, sender, upload, ends } = await open(5)
    const receiver = await ask(port, `GET /${sender.id}`)
    await sender.until(/"connected"/)
    await sender.write('hello')
    await receiver.ending()
    sender.reset()
    receiver.end()
    await until('the transfer is over', () => ends.length === 1)
    const again = await connectRaw(port)
    const head = requestHead(`PATCH ${upload}`, {
      ...PIECE,
      Accept: 'application/json',
      Connection: 'close',
      'Upload-Offset': String(offset),
      'Upload-Complete': '?1',
      'Content-Length': String(length),
    })
    await again.write(head + 'lo'.slice(0, length))
    await again.ending()
    const answer = parseAnswer(again.text())
    expect(answer.status).toBe(status)
    expect(answer.body).toContain(word)
  })

  test('finds out that it failed', async () => {
    const { port, sender, upload } = await open(5)
    expect((await answerTo(port, `DELETE ${upload}`)).status).toBe(204)
    await sender.ending()
    expect(await answerTo(port, `HEAD ${upload}`)).toMatchObject({ status: 410 })
    const again = await ask(port, `PATCH ${upload}`, {
      ...PIECE,
      'Upload-Offset': '0',
      'Upload-Complete': '?1',
      'Content-Length': '0',
    })
    await again.until(/^HTTP\/1\.1 410 [\s\S]*\[cancelled\]/)
    const { body } = await answerTo(port, `GET ${upload}/events`, { Accept: 'application/x-ndjson' })
    expect(JSON.parse(body)).toMatchObject({
      event: 'failed',
      problem: { type: 'urn:ess:problem:cancelled' },
    })
  })
})

test('a receiver that says that it stops ends the transfer at once', async () => {
  const { port, sender, ends } = await open(5)
  const receiver = await ask(port, `GET /${sender.id}`)
  await sender.until(/"connected"/)
  await sender.write('he')
  await receiver.until(/he$/)
  expect((await answerTo(port, `DELETE /${sender.id}`)).status).toBe(204)
  await sender.until(/"event":"failed"/)
  await expectCutOff(receiver)
  expect(ends).toMatchObject([{ outcome: 'receiver-lost' }])
})

describe('a range', () => {
  const halfway = async () => {
    const here = await open(10)
    const receiver = await ask(here.port, `GET /${here.sender.id}`)
    await here.sender.until(/"connected"/)
    await here.sender.write('hello')
    await receiver.until(/hello$/)
    return { ...here, receiver }
  }
  const REFUSED = [
    ['beyond what was handed on', { Range: 'bytes=6-' }, 409, 'whole-only'],
    ['beyond the end', { Range: 'bytes=10-' }, 409, 'whole-only'],
    ['that does not reach the end', { Range: 'bytes=2-8' }, 409, 'whole-only'],
    ['of the last bytes', { Range: 'bytes=-3' }, 409, 'whole-only'],
    ['of several', { Range: 'bytes=0-1,3-' }, 409, 'whole-only'],
    ['of another file', { Range: 'bytes=2-', 'If-Match': '"other"' }, 412, 'precondition-failed'],
  ] as const

  test.each(REFUSED)('%s takes nothing: %j gets %i %s', async (_name, headers, status, code) => {
    const { port, sender, receiver, ends } = await halfway()
    const answer = await answerTo(port, `GET /${sender.id}`, headers)
    expect(answer.status).toBe(status)
    expect(answer.body).toContain(code)
    await sender.write('world')
    await receiver.ending()
    receiver.end()
    await until('the transfer is over', () => ends.length === 1)
    expect(ends).toMatchObject([{ outcome: 'delivered' }])
  })

  // haproxy may make an end in good order of its reset.
  test.skipIf(IS_BALANCED)(
    'from the end is answered with 416, and one from beyond it is of another file',
    async () => {
      const { port, sender, receiver } = await halfway()
      await sender.write('world')
      await receiver.until(/helloworld$/)
      receiver.reset()
      await sender.until(/"interrupted"/)
      const atEnd = await answerTo(port, `GET /${sender.id}`, { Range: 'bytes=10-' })
      expect(atEnd).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */10' } })
      const beyond = await answerTo(port, `GET /${sender.id}`, { Range: 'bytes=11-' })
      expect(beyond.status).toBe(409)
      expect(beyond.body).toContain('whole-only')
    },
  )

  test.each([
    ['Chromium', 'If-Range'],
    ['a browser that asks as Firefox may', 'If-Match'],
  ])('of %s, which asks for the rest as if a person looked, goes on', async (_name, field) => {
    const { port, sender, receiver } = await halfway()
    receiver.reset()
    await sender.until(/"interrupted"/)
    const navigation = { ...BROWSER, 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Site': 'none' }
    expect((await answerTo(port, `GET /${sender.id}`, navigation)).status).toBe(406)
    await ask(port, `GET /${sender.id}`, { ...navigation, Range: 'bytes=3-', [field]: `"${sender.id}"` })
    await sender.until(/"rewind","offset":3/)
  })

  test('with the last byte named is taken for the rest', async () => {
    const { port, sender, receiver, upload } = await halfway()
    receiver.reset()
    await sender.until(/"interrupted"/)
    const back = await ask(port, `GET /${sender.id}`, { Range: 'bytes=3-9' })
    await sender.until(/"rewind","offset":3/)
    expect((await answerTo(port, `HEAD ${upload}`)).status).toBe(409)
    back.reset()
  })

  // haproxy has one address.
  test.skipIf(IS_BALANCED)('from a stranger takes no transfer over', async () => {
    const { port, sender } = await halfway()
    const stranger = await ask(port, `GET /${sender.id}`, { Range: 'bytes=2-' }, { from: '127.0.0.9' })
    await stranger.until(/^HTTP\/1\.1 409 [\s\S]*busy/)
  })

  test('from byte 0 is that of a second receiver, even at the same address', async () => {
    const { port, sender, receiver } = await halfway()
    const second = await ask(port, `GET /${sender.id}`, { Range: 'bytes=0-' })
    await second.until(/^HTTP\/1\.1 409 [\s\S]*busy/)
    await sender.write('world')
    await receiver.until(/helloworld$/)
  })

  test('from the same address takes it over', async () => {
    const { port, sender, receiver } = await halfway()
    await ask(port, `GET /${sender.id}`, { Range: 'bytes=2-' })
    await sender.until(/"rewind","offset":2/)
    await expectCutOff(receiver)
  })
})

test('a sender that can not go on does not begin again in pieces', async () => {
  const { port } = await serve({ reservations: true })
  const sender = await openSender(port, { length: 10 })
  const [, upload = ''] = await sender.until(/"upload":"http:\/\/localhost(\/uploads\/[^"]+)"/)
  const answer = await answerTo(port, `PATCH ${upload}`, {
    ...PIECE,
    'Upload-Offset': '0',
    'Upload-Complete': '?0',
    'Upload-Length': '10',
    'Content-Length': '5',
  })
  expect(answer).toMatchObject({ status: 409, body: expect.stringContaining('[already-open]') })
})

test('with resuming off, nothing of it is there', async () => {
  const { port, ends } = await serve({ resumeWithin: 0 })
  const sender = await openSender(port, { length: 10, headers: { 'Ess-Resume': 'rewind' } })
  expect(sender.text()).not.toMatch(/"upload"|resumeWithin/)
  const receiver = await ask(port, `GET /${sender.id}`)
  await sender.until(/"connected"/)
  await sender.write('hello')
  await receiver.until(/Accept-Ranges: none[\s\S]*hello/)
  sender.reset()
  await expectCutOff(receiver)
  expect(ends).toMatchObject([{ outcome: 'sender-lost' }])
})

describe('what both sides are told is whole sentences', () => {
  /** The words of the verdict, behind the number of bytes and the time, which are the test's own. */
  const toldBy = (peer: RawPeer) => {
    const verdict = eventsOf(peer).at(-1)
    return verdict?.event === 'failed' ? verdict.problem.detail : undefined
  }
  const running = async () => {
    const here = await open(10, { resumeWithin: 0.6 })
    const receiver = await ask(here.port, `GET /${here.sender.id}`)
    await here.sender.until(/"connected"/)
    await here.sender.write('hello')
    await receiver.until(/hello$/)
    const follower = await ask(here.port, `GET ${here.upload}/events`, { Accept: 'application/x-ndjson' })
    await follower.until(/"event":"opened"/)
    return { ...here, receiver, follower }
  }

  test('when a sender does not come back', async () => {
    const { sender, follower } = await running()
    sender.reset()
    await follower.until(/"failed"/)
    expect(toldBy(follower)).toBe(
      'The sender stopped after 5 B of 10 B, so the receiver does not have the whole file. It did not come back within 1 s. Send it again for a new link.',
    )
  })

  test('when a sender asks where to go on, and then sends nothing', async () => {
    const { port, follower, upload } = await running()
    await answerTo(port, `HEAD ${upload}`)
    await follower.until(/"failed"/)
    expect(toldBy(follower)).toBe(
      "The sender's connection was lost. It did not come back within 1 s. Send the file again for a new link.",
    )
  })

  test('when a sender does not bring the bytes that it is asked for', async () => {
    const { port, sender, receiver, follower } = await running()
    receiver.reset()
    await follower.until(/"interrupted"/)
    await ask(port, `GET /${sender.id}`, { Range: 'bytes=2-' })
    await follower.until(/"failed"/)
    expect(toldBy(follower)).toBe(
      "The sender's next bytes did not come within 1 s. Send the file again for a new link.",
    )
  })

  test('when both are cut, and the sender alone comes back', async () => {
    const { port, sender, receiver, follower, upload } = await running()
    receiver.reset()
    await follower.until(/"interrupted","side":"receiver"/)
    sender.reset()
    await follower.until(/"interrupted","side":"both"/)
    const offset = (await answerTo(port, `HEAD ${upload}`)).headers['upload-offset'] ?? ''
    await ask(port, `PATCH ${upload}`, {
      ...PIECE,
      'Upload-Offset': offset,
      'Upload-Complete': '?1',
      'Content-Length': String(10 - Number(offset)),
    })
    await follower.until(/"failed"/)
    expect(toldBy(follower)).toBe(
      'The receiver did not come back within 1 s. Send the file again for a new link.',
    )
  })

  test('when both are cut, the sender first, and neither comes back', async () => {
    const { sender, receiver, follower } = await running()
    sender.reset()
    await follower.until(/"interrupted","side":"sender"/)
    receiver.reset()
    await follower.until(/"interrupted","side":"both"/)
    await follower.until(/"failed"/)
    expect(toldBy(follower)).toMatch(/^The receiver .*\. The sender did not come back within 1 s\. /)
  })

  test('when a receiver stops for good', async () => {
    const { port, sender, follower } = await running()
    await answerTo(port, `DELETE /${sender.id}`)
    await follower.until(/"failed"/)
    expect(toldBy(follower)).toBe('The receiver stopped the download. Send the file again for a new link.')
  })
})
