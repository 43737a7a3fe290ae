import { describe, expect, test } from 'vitest'
import type { ServiceOptions } from '../../server/index.js'
import { parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { holdTimers } from '../helpers/timings.js'
import { until } from '../helpers/within.js'
import {
  bodyOf,
  chunk,
  eventsOf,
  expectSenderFailed,
  LAST_CHUNK,
  openSender,
  type RawSender,
  type Served,
  serve,
  untilEnded,
} from './serve.js'

/** A receiver that says by itself when the file is safe. */
const BY_WORD = { 'Ess-Confirm': '?1' }

async function ask(
  port: number,
  target: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawPeer> {
  const peer = await connectRaw(port)
  await peer.write(requestHead(target, headers))
  return peer
}

async function answerTo(port: number, target: string, headers: Readonly<Record<string, string>> = {}) {
  const peer = await ask(port, target, { ...headers, Connection: 'close' })
  expect(await peer.ending()).toBe('fin')
  return parseAnswer(peer.text())
}

interface Sent extends Served {
  readonly sender: RawSender
  readonly receiver: RawPeer
  /** Says something of the link. */
  leave(fields?: Readonly<Record<string, string>>): ReturnType<typeof answerTo>
  /** Waits until the receiver's connection has said what it has to say. */
  untilHeard(): Promise<unknown>
  /** The time is over in which the receiver may say the rest. */
  expire(): void
}

/** A sender of `hello`, every byte of which a receiver has. */
async function sent(
  { isChunked = false, ...headers }: { isChunked?: boolean; 'Ess-Resume'?: string } = {},
  asks: Readonly<Record<string, string>> = BY_WORD,
  options: ServiceOptions = {},
): Promise<Sent> {
  const timers = holdTimers('wordMs')
  const served = await serve(options)
  const { port } = served
  const sender = await openSender(port, { ...(!isChunked && { length: 5 }), headers })
  const receiver = await ask(port, `GET /${sender.id}`, asks)
  await sender.until(/"event":"connected"/)
  await sender.write(isChunked ? chunk('hello') + LAST_CHUNK : 'hello')
  expect(await receiver.ending()).toBe('fin')
  expect(bodyOf(receiver)).toContain('hello')
  return {
    ...served,
    sender,
    receiver,
    leave: (fields) => answerTo(port, `DELETE /${sender.id}`, fields),
    untilHeard: () => until('its word is waited for', () => timers.pending() === 1),
    expire: timers.fire,
  }
}

const delivered = (confirmed: boolean) =>
  new RegExp(`{"event":"delivered","bytes":5,"confirmed":${confirmed}}`)

describe.each([
  ['of known length', {}],
  ['in chunks', { isChunked: true }],
  ['that can be sent again', { 'Ess-Resume': 'rewind' }],
])('a file %s, whose receiver says by itself when it is safe,', (_kind, request) => {
  test('is delivered when it has said so, and not when its connection is closed', async () => {
    const { sender, receiver, leave, ends, untilHeard } = await sent(request)
    receiver.end()
    await untilHeard()
    expect(ends).toEqual([])
    expect((await leave({ 'Ess-Received': '5' })).status).toBe(204)
    await sender.until(delivered(true))
    expect((await leave({ 'Ess-Received': '5' })).status).toBe(410)
  })

  test('is delivered to one whose word comes before the end of its connection', async () => {
    const { sender, receiver, leave } = await sent(request)
    expect((await leave({ 'Ess-Received': '5' })).status).toBe(204)
    receiver.end()
    await sender.until(delivered(true))
  })

  test('is delivered to one that has said so, though its connection is reset', async () => {
    const { sender, receiver, leave } = await sent(request)
    expect((await leave({ 'Ess-Received': '5' })).status).toBe(204)
    receiver.reset()
    await sender.until(delivered(true))
  })

  test('is not delivered when it says that it stops', async () => {
    const { sender, receiver, leave, untilHeard } = await sent(request)
    receiver.end()
    await untilHeard()
    expect((await leave()).status).toBe(204)
    await expectSenderFailed(sender, 'receiver-lost', /The receiver stopped the download/)
  })

  test('is not confirmed when it says nothing in time', async () => {
    const { sender, receiver, ends, untilHeard, expire } = await sent(request)
    receiver.end()
    await untilHeard()
    expect(ends).toEqual([])
    expire()
    await sender.until(delivered(false))
  })

  test.each(['4', '6', '-5', 'all'])('is not delivered when it says that it has %s bytes', async (bytes) => {
    const { sender, receiver, leave, ends } = await sent(request)
    receiver.end()
    expect(await leave({ 'Ess-Received': bytes })).toMatchObject({ status: 400 })
    expect(ends).toEqual([])
    expect((await leave({ 'Ess-Received': '5' })).status).toBe(204)
    await sender.until(delivered(true))
  })
})

test('a receiver can not say that it has what was not sent yet', async () => {
  const { port, ends } = await serve()
  const sender = await openSender(port, { length: 5 })
  expect((await answerTo(port, `DELETE /${sender.id}`, { 'Ess-Received': '5' })).status).toBe(400)
  const receiver = await ask(port, `GET /${sender.id}`, BY_WORD)
  await sender.until(/"event":"connected"/)
  await sender.write('hell')
  await receiver.until(/hell/)
  for (const bytes of ['4', '5'])
    expect((await answerTo(port, `DELETE /${sender.id}`, { 'Ess-Received': bytes })).status).toBe(400)
  await sender.write('o')
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  expect(ends).toEqual([])
  expect((await answerTo(port, `DELETE /${sender.id}`, { 'Ess-Received': '5' })).status).toBe(204)
  await sender.until(delivered(true))
})

test('a receiver that has lost the end comes back for it, before it says anything', async () => {
  const { port, sender, receiver, leave, untilHeard } = await sent({ 'Ess-Resume': 'rewind' })
  receiver.end()
  await untilHeard()
  const back = await ask(port, `GET /${sender.id}`, {
    ...BY_WORD,
    Range: 'bytes=3-',
    'If-Match': `"${sender.id}"`,
  })
  const [, upload = ''] = await sender.until(
    /"event":"rewind","offset":3,"upload":"http:\/\/localhost([^"]+)"/,
  )
  const again = await ask(port, `PATCH ${upload}`, {
    'Content-Type': 'application/partial-upload',
    Connection: 'keep-alive',
    'Upload-Offset': '3',
    'Upload-Complete': '?1',
    'Content-Length': '2',
  })
  await again.write('lo')
  expect(await back.ending()).toBe('fin')
  expect(bodyOf(back)).toBe('lo')
  back.end()
  expect((await leave({ 'Ess-Received': '5' })).status).toBe(204)
  await again.until(/^HTTP\/1\.1 200 OK[\s\S]*delivered/)
})

test('a receiver whose connection was reset behind the last byte can still say that it has everything', async () => {
  const served = await sent({ 'Ess-Resume': 'rewind' })
  const { sender, receiver, leave } = served
  receiver.reset()
  await sender.until(/"event":"interrupted","side":"receiver","bytes":5/)
  expect((await leave({ 'Ess-Received': '4' })).status).toBe(400)
  expect((await leave({ 'Ess-Received': '5' })).status).toBe(204)
  await sender.until(delivered(true))
  expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', bytes: 5, confirmed: true }])
})

test('so it can when its sender was cut, too, and the sender comes back for the verdict', async () => {
  const served = await sent({ 'Ess-Resume': 'rewind' })
  const { port, sender, receiver, leave } = served
  const [, upload = ''] = /"upload":"http:\/\/localhost(\/uploads\/[^"]+)"/.exec(sender.text()) ?? []
  receiver.reset()
  await sender.until(/"event":"interrupted","side":"receiver","bytes":5/)
  const follower = await ask(port, `GET ${upload}/events`, { Accept: 'application/x-ndjson' })
  await follower.until(/"opened"/)
  sender.reset()
  await follower.until(/"event":"interrupted","side":"both"/)
  expect((await leave({ 'Ess-Received': '5' })).status).toBe(204)
  await follower.until(delivered(true))
  expect(await answerTo(port, `HEAD ${upload}`)).toMatchObject({ headers: { 'upload-complete': '?1' } })
})

test('a sender that is cut while the word is waited for comes back, and reads the verdict', async () => {
  const served = await sent({ 'Ess-Resume': 'rewind' })
  const { port, sender, receiver, leave, untilHeard } = served
  const [, upload = ''] = /"upload":"http:\/\/localhost(\/uploads\/[^"]+)"/.exec(sender.text()) ?? []
  receiver.end()
  await untilHeard()
  sender.reset()
  const head = await answerTo(port, `HEAD ${upload}`)
  expect(head).toMatchObject({ status: 204, headers: { 'upload-offset': '5', 'upload-complete': '?0' } })
  const again = await ask(port, `PATCH ${upload}`, {
    'Content-Type': 'application/partial-upload',
    Connection: 'keep-alive',
    'Upload-Offset': '5',
    'Upload-Complete': '?1',
    'Content-Length': '0',
  })
  expect((await leave({ 'Ess-Received': '5' })).status).toBe(204)
  await again.until(/^HTTP\/1\.1 200 OK[\s\S]*delivered/)
  expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', bytes: 5, confirmed: true }])
})

describe('a page that was closed says so by a POST, which every browser lets out:', () => {
  test('the sender of one that received is told', async () => {
    const { port, sender, receiver, untilHeard } = await sent({}, BY_WORD, { web: true })
    receiver.end()
    await untilHeard()
    expect((await answerTo(port, `POST /web/closed-download/${sender.id}`)).status).toBe(204)
    await expectSenderFailed(sender, 'receiver-lost', /The receiver stopped the download/)
  })

  test('the transfer of one that sent is over', async () => {
    const served = await serve({ web: true })
    const { port } = served
    const sender = await openSender(port, { length: 5, headers: { 'Ess-Resume': 'rewind' } })
    const [, token = ''] = await sender.until(/\/uploads\/([\w-]{22})"/)
    const receiver = await ask(port, `GET /${sender.id}`)
    await sender.until(/"event":"connected"/)
    await sender.write('hell')
    await receiver.until(/hell/)
    expect((await answerTo(port, `POST /web/closed-upload/${token}`)).status).toBe(204)
    expect(await receiver.ending()).toBe('rst')
    expect(await untilEnded(served)).toMatchObject([{ outcome: 'cancelled' }])
  })

  test.each(['closed-download', 'closed-upload'])('without pages there is no /web/%s', async (word) => {
    const { port } = await serve({ web: false })
    const sender = await openSender(port, { length: 5 })
    expect((await answerTo(port, `POST /web/${word}/${sender.id}`)).status).toBe(404)
  })
})

test('a receiver that has not asked for it is believed when its connection says so', async () => {
  const { sender, receiver } = await sent({}, {})
  receiver.end()
  await sender.until(delivered(true))
  expect(eventsOf(sender).at(-1)).toMatchObject({ event: 'delivered' })
})
