import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { fencedBlocks, readPage } from '../../helpers/markdown.js'
import { connectRaw, type RawPeer } from '../../helpers/raw-peer.js'
import { BROWSER } from '../../helpers/visitors.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'
import {
  bodyOf,
  chunk,
  eventsOf,
  expectSenderFailed,
  LAST_CHUNK,
  openReceiver,
  openSender,
  type RawSender,
  type Served,
  senderHead,
  serve,
  serveNodes,
  untilEnded,
} from '../serve.js'
import {
  type Again,
  answerOf,
  askToReopen,
  COMES_BACK,
  expectMoved,
  FILE,
  type Fields,
  GOES_BACK,
  GOES_ON,
  goOn,
  head,
  LENGTH,
  LONG_DRAIN_MS,
  midway,
  receive,
  reopen,
  streaming,
  type Three,
  three,
  untilBusy,
  uploadOf,
  whole,
} from './moving.js'

/*
 * Node a has the socket and stops. Its sender opens the link again at b, and what comes later comes to c.
 */

describe('a sender that waits', () => {
  test('goes on at another node under the same link, and its node has nothing left to do', async () => {
    const { a, b, c } = await three()
    const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
    const follower = await connectRaw(c.port)
    await follower.write(requestHead(`GET ${uploadOf(sender)}/events`, { Accept: 'application/x-ndjson' }))
    await follower.until(/"waiting"/)
    const stopped = a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    await expectMoved(follower)
    await stopped
    expect(a.ends).toMatchObject([{ outcome: 'moved', bytes: 0 }])

    const answer = await askToReopen(b.port, uploadOf(sender), sender.id, {
      ...LENGTH,
      'Content-Disposition': 'attachment; filename="digits.txt"',
      'Content-Type': 'text/plain',
    })
    expect(answer.status).toBe(201)
    const again = JSON.parse(answer.body) as Again
    expect(again).toEqual({
      id: sender.id,
      url: `http://localhost/${sender.id}/digits.txt`,
      upload: expect.stringMatching(/^http:\/\/localhost\/uploads\/[\w-]{43}$/) as string,
      events: `${again.upload}/events`,
      expires: expect.any(String) as string,
      resumeWithin: 120,
    })
    expect(answer.headers['location']).toBe(again.upload)
    const upload = new URL(again.upload).pathname
    const receiver = await openReceiver(c.port, `/${sender.id}`)
    const second = await goOn(c.port, upload, 0)
    const got = await whole(receiver)
    expect(got).toMatchObject({ status: 200, body: FILE })
    expect(got.headers).toMatchObject({
      etag: `"${sender.id}"`,
      'content-type': 'text/plain',
      'content-disposition': 'attachment; filename="digits.txt"',
    })
    await second.until(/^HTTP\/1\.1 200 /)
    expect(await untilEnded(b)).toMatchObject([{ outcome: 'delivered', confirmed: true, bytes: 10 }])
  })

  test('keeps the seconds that are left', async () => {
    const { a, b } = await three({ ttl: 600 })
    const sender = await openSender(a.port, { length: 1, headers: GOES_BACK })
    void a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    const answer = await askToReopen(b.port, `${uploadOf(sender)}?ttl=77`, sender.id)
    const { expires } = JSON.parse(answer.body) as Again
    const left = (Date.parse(expires) - Date.now()) / 1000
    expect(left).toBeLessThanOrEqual(77)
    expect(left).toBeGreaterThan(60)
  })

  test('is told the truth if it can’t go on', async () => {
    const { a } = await three()
    const sender = await openSender(a.port, { length: 1 })
    void a.broker.stop(LONG_DRAIN_MS)
    await expectSenderFailed(sender, 'shutting-down')
    expect(await untilEnded(a)).toMatchObject([{ outcome: 'shutting-down' }])
  })

  test('is told the truth if it does not know how to go on elsewhere', async () => {
    const { a } = await three()
    const sender = await openSender(a.port, { length: 1, headers: { 'Ess-Resume': 'rewind' } })
    void a.broker.stop(LONG_DRAIN_MS)
    await expectSenderFailed(sender, 'shutting-down')
  })

  test('that was cut before is found again too', async () => {
    const { a, b } = await three()
    const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
    sender.reset()
    await until('it is missed', () => a.broker.sockets()[0]?.phase === 'interrupted')
    await a.broker.stop(LONG_DRAIN_MS)
    expect(a.ends).toMatchObject([{ outcome: 'moved' }])
    const upload = await reopen(b.port, uploadOf(sender), sender.id, LENGTH)
    const receiver = await openReceiver(b.port, `/${sender.id}`)
    await goOn(b.port, upload, 0)
    expect(await whole(receiver)).toMatchObject({ body: FILE })
  })
})

test('a reservation without a sender ends as ever', async () => {
  const { a, b } = await three()
  const reserved = await exchange(a.port, requestHead('POST /reserve', { Accept: 'application/json' }))
  const { id, upload } = JSON.parse(reserved.body) as { id: string; upload: string }
  await a.broker.stop(LONG_DRAIN_MS)
  expect(a.ends).toMatchObject([{ outcome: 'shutting-down' }])
  expect((await askToReopen(b.port, new URL(upload).pathname, id)).status).toBe(410)
  expect((await exchange(b.port, requestHead(`GET /${id}`))).status).toBe(410)
})

describe('a reservation whose sender knows how to go on elsewhere', () => {
  async function reserved(a: Served) {
    const head = requestHead('POST /reserve', { Accept: 'application/json', 'Ess-Reopen': '?1' })
    const { id, upload } = JSON.parse((await exchange(a.port, head)).body) as { id: string; upload: string }
    return { id, upload: new URL(upload).pathname }
  }

  test('goes on at another node, and its sender comes there', async () => {
    const { a, b, c } = await three()
    const { id, upload } = await reserved(a)
    await a.broker.stop(LONG_DRAIN_MS)
    expect(a.ends).toMatchObject([{ outcome: 'moved' }])
    const peer = await goOn(c.port, upload, 0)
    await peer.until(/^HTTP\/1\.1 503 [\s\S]* \[node-away\]\n/)
    const again = await reopen(b.port, upload, id, LENGTH)
    const receiver = await openReceiver(c.port, `/${id}`)
    await goOn(c.port, again, 0)
    expect(await whole(receiver)).toMatchObject({ status: 200, body: FILE })
  })

  test.each(['a', 'c'] as const)('keeps a receiver that waits for it at %s', async (where) => {
    const { a, b, c } = await three()
    const { id, upload } = await reserved(a)
    const receiver = await receive({ a, c }[where].port, id)
    await until('it waits', () => a.broker.counts().held === 3)
    void a.broker.stop(LONG_DRAIN_MS)
    if (where === 'c') {
      // It was brought here, and is asked to come again.
      await receiver.until(/^HTTP\/1\.1 503 [\s\S]* \[node-away\]\n/)
      return
    }
    await until('it is held', () => a.broker.counts().awaiting === 1)
    const again = await reopen(b.port, upload, id, LENGTH)
    await goOn(c.port, again, 0)
    expect(await whole(receiver)).toMatchObject({ status: 200, body: FILE })
  })

  test('ends as ever if its sender may not go on', async () => {
    const { a, c } = await three({ resumeWithin: 0 })
    const { id } = await reserved(a)
    await a.broker.stop(LONG_DRAIN_MS)
    expect(a.ends).toMatchObject([{ outcome: 'shutting-down' }])
    expect((await exchange(c.port, requestHead(`GET /${id}`))).status).toBe(410)
  })
})

describe('between two nodes', () => {
  async function between() {
    const nodes = await three()
    const { sender, receiver, upload } = await streaming(nodes.a)
    void nodes.a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    expect(await receiver.ending()).toBe('rst')
    return { ...nodes, id: sender.id, upload }
  }

  test.each(['a', 'b'] as const)('a sender is told at %s that its node is away', async (where) => {
    const nodes = await between()
    const { port } = nodes[where]
    const asked = await head(port, nodes.upload)
    expect([asked.status, asked.headers['retry-after']]).toEqual([503, '5'])
    const peer = await goOn(port, nodes.upload, 5)
    await peer.until(/^HTTP\/1\.1 503 [\s\S]* \[node-away\]\n/)
    const events = await exchange(port, requestHead(`GET ${nodes.upload}/events`))
    expect(events.status).toBe(503)
    expect((await exchange(port, requestHead(`DELETE ${nodes.upload}`))).status).toBe(503)
  })

  test.each([
    ['where it is opened', 'b'],
    ['at another one', 'c'],
    ['at the one that stops', 'a'],
  ] as const)('a receiver is held until the link is open again, %s', async (_what, where) => {
    const { id, upload, ...nodes } = await between()
    const receiver = await receive(nodes[where].port, id, { Range: 'bytes=5-' })
    await until('it is held', () => nodes[where].broker.counts().awaiting === 1)
    const again = await reopen(nodes.b.port, upload, id, { ...LENGTH, ...midway(5) })
    await untilBusy(nodes.b, id)
    await goOn(nodes.b.port, again, 5)
    expect(await whole(receiver)).toMatchObject({ status: 206, body: '56789' })
    expect(nodes[where].broker.counts().awaiting).toBe(0)
  })

  test('a browser is held too, and gets the page of the link', async () => {
    const { id, upload, b } = await between()
    const browser = await connectRaw(b.port)
    await browser.write(requestHead(`GET /${id}`, BROWSER))
    await until('it is held', () => b.broker.counts().awaiting === 1)
    await reopen(b.port, upload, id, { ...LENGTH, ...midway(5) })
    const page = await answerOf(browser)
    expect([page.status, page.headers['content-type']]).toEqual([406, 'text/html; charset=utf-8'])
    expect(b.broker.counts().held).toBe(1)
  })

  test('a receiver that leaves is held no longer', async () => {
    const { id, b } = await between()
    const receiver = await receive(b.port, id)
    await until('it is held', () => b.broker.counts().awaiting === 1)
    receiver.reset()
    await until('it has left', () => b.broker.counts().awaiting === 0)
    expect(b.broker.counts().held).toBe(0)
  })

  test('a receiver for whom there is no room is asked to come again', async () => {
    const nodes = await three({ maxWaitingPerClient: 1 })
    const { sender } = await streaming(nodes.a)
    void nodes.a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    await receive(nodes.b.port, sender.id)
    await until('the first is held', () => nodes.b.broker.counts().awaiting === 1)
    const second = await exchange(nodes.b.port, requestHead(`GET /${sender.id}`))
    expect([second.status, second.headers['retry-after']]).toEqual([503, '5'])
  })
})

describe('a transfer under way', () => {
  test('stays for as long as its receiver needs, if that may not come back', async () => {
    const { a } = await three()
    const { sender, receiver } = await streaming(a, {})
    const stopped = a.broker.stop(LONG_DRAIN_MS)
    await sender.write(FILE.slice(5))
    expect(await whole(receiver)).toMatchObject({ body: FILE })
    await sender.until(/"delivered"/)
    await stopped
    expect(a.ends).toMatchObject([{ outcome: 'delivered' }])
  })

  test('is moved when the time is over, even if its receiver may not come back', async () => {
    const { a, b } = await three()
    const { sender, receiver, upload } = await streaming(a, {})
    await a.broker.stop(10)
    await expectMoved(sender)
    expect(await receiver.ending()).toBe('rst')
    const again = await reopen(b.port, upload, sender.id, { ...LENGTH, ...midway(5) })
    const back = await receive(b.port, sender.id, { Range: 'bytes=5-' })
    await goOn(b.port, again, 5)
    expect(await whole(back)).toMatchObject({ status: 206, body: '56789' })
  })

  test('is moved by a second request to stop as well', async () => {
    const { a } = await three()
    const { sender } = await streaming(a, {})
    void a.broker.stop(LONG_DRAIN_MS)
    a.broker.stopNow()
    await expectMoved(sender)
  })

  test('stays if every byte is handed on: only the end is missing', async () => {
    const { a } = await three()
    const { sender, receiver } = await streaming(a)
    await sender.write(FILE.slice(5))
    await receiver.until(/0123456789$/)
    // The thread that moved them may not have counted them yet. Until then they are under way, and the transfer moves.
    await sender.until(/"progress","bytes":10\b/)
    const stopped = a.broker.stop(LONG_DRAIN_MS)
    expect(await whole(receiver)).toMatchObject({ body: FILE })
    await stopped
    expect(a.ends).toMatchObject([{ outcome: 'delivered', confirmed: true }])
  })

  test('stays if its receiver has the end of a file of unknown length', async () => {
    const { a } = await three()
    const sender = await openSender(a.port, { headers: GOES_BACK })
    const receiver = await receive(a.port, sender.id, COMES_BACK)
    await sender.until(/"connected"/)
    await sender.write(chunk(FILE) + LAST_CHUNK)
    await receiver.until(/0123456789\r\n0\r\n\r\n$/)
    const stopped = a.broker.stop(LONG_DRAIN_MS)
    await whole(receiver)
    await stopped
    expect(a.ends).toMatchObject([{ outcome: 'delivered', confirmed: true, bytes: FILE.length }])
  })

  test('stays for as long as it needs, if its sender does not know how to go on elsewhere', async () => {
    const { a } = await three()
    const sender = await openSender(a.port, { length: FILE.length, headers: { 'Ess-Resume': 'rewind' } })
    const receiver = await receive(a.port, sender.id, COMES_BACK)
    await sender.until(/"connected"/)
    const stopped = a.broker.stop(LONG_DRAIN_MS)
    await sender.write(FILE)
    expect(await whole(receiver)).toMatchObject({ body: FILE })
    await stopped
    expect(a.ends).toMatchObject([{ outcome: 'delivered' }])
  })

  // Several times: bytes were lost in 1 of 25, where the thread that moves them was in the middle of a turn.
  const times = Array.from({ length: 12 }, (_, index) => index + 1)
  test.for(times)('of many bytes loses none of them, and gets none twice: time %i', async () => {
    const { a, b, c } = await three()
    const bytes = randomBytes(8 * 1024 * 1024)
    const sender = await openSender(a.port, { length: bytes.length, headers: GOES_BACK })
    const receiver = await receive(a.port, sender.id, COMES_BACK)
    await sender.until(/"connected"/)
    // It never comes to its end: its connection is ended before.
    const writing = sender.write(bytes.subarray(0, -1)).catch(() => undefined)
    await until('a part is there', () => bodyOf(receiver).length > 1024 * 1024)
    void a.broker.stop(LONG_DRAIN_MS)
    await sender.until(/"event":"moved"/)
    await receiver.ending()
    await writing
    const got = bodyOf(receiver)
    expect(got.length).toBeLessThan(bytes.length)
    const told = eventsOf(sender).findLast((event) => event.event === 'progress')
    const offset = told?.event === 'progress' ? told.bytes : 0
    const again = await reopen(b.port, uploadOf(sender), sender.id, {
      'Upload-Length': String(bytes.length),
      ...midway(offset),
    })
    const back = await receive(c.port, sender.id, { Range: `bytes=${got.length}-` })
    await untilBusy(b, sender.id)
    const asked = await head(c.port, again)
    const from = Number(asked.headers['upload-offset'])
    expect(from).toBe(got.length)
    const { pathname } = new URL(asked.headers['location'] ?? again, 'http://localhost')
    const rest = await connectRaw(c.port)
    const fields = {
      'Content-Type': 'application/partial-upload',
      'Upload-Offset': String(from),
      'Upload-Complete': '?1',
      'Content-Length': String(bytes.length - from),
    }
    await rest.write(requestHead(`PATCH ${pathname}`, fields))
    await rest.write(bytes.subarray(from))
    const { body } = await whole(back)
    const all = Buffer.from(got + body, 'latin1')
    const at = all.findIndex((byte, index) => byte !== bytes[index])
    expect({ length: all.length, differsAt: at }).toEqual({ length: bytes.length, differsAt: -1 })
  })

  test('fails when the time is over, if its sender can’t go back', async () => {
    const { a } = await three()
    const sender = await openSender(a.port, { length: FILE.length, headers: GOES_ON })
    const receiver = await receive(a.port, sender.id, COMES_BACK)
    await sender.until(/"connected"/)
    await sender.write(FILE.slice(0, 5))
    await receiver.until(/01234$/)
    await a.broker.stop(10)
    await expectSenderFailed(sender, 'shutting-down')
    expect(await receiver.ending()).toBe('rst')
  })

  test.each(['PUT', 'PATCH'])('by %s is answered with 503', async (method) => {
    const { a, b } = await three()
    const reserved = await exchange(a.port, requestHead('POST /reserve', { Accept: 'application/json' }))
    const { id, upload } = JSON.parse(reserved.body) as { id: string; upload: string }
    const { pathname } = new URL(upload)
    const sender = await connectRaw(b.port)
    const fields = {
      'Content-Length': '10',
      Accept: 'application/problem+json',
      ...GOES_BACK,
      ...(method === 'PATCH' && {
        'Content-Type': 'application/partial-upload',
        'Upload-Offset': '0',
        'Upload-Complete': '?1',
      }),
    }
    await sender.write(`${requestHead(`${method} ${pathname}`, fields)}01234`)
    const receiver = await receive(b.port, id, COMES_BACK)
    await receiver.until(/01234$/)
    void a.broker.stop(LONG_DRAIN_MS)
    const answer = await answerOf(sender)
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1'])
    expect(answer.headers['ess-connected']).toBe('?1')
    expect(answer.body).toMatch(/"type":"urn:ess:problem:moved"/)
    expect(await receiver.ending()).toBe('rst')
  })

  test('that has not begun is not told of a receiver', async () => {
    const { a } = await three()
    const reserved = await exchange(a.port, requestHead('POST /reserve', { Accept: 'application/json' }))
    const { upload } = JSON.parse(reserved.body) as { upload: string }
    const sender = await connectRaw(a.port)
    await sender.write(
      requestHead(`PUT ${new URL(upload).pathname}`, { 'Content-Length': '10', ...GOES_BACK }),
    )
    await until('the sender waits', () => a.broker.sockets()[0]?.phase === 'waiting')
    void a.broker.stop(LONG_DRAIN_MS)
    const answer = await answerOf(sender)
    expect([answer.status, answer.headers['ess-connected']]).toEqual([503, undefined])
  })

  test('in pieces goes on with the next piece', async () => {
    const { a, b, c } = await three()
    const reserved = await exchange(a.port, requestHead('POST /reserve', { Accept: 'application/json' }))
    const { id, upload } = JSON.parse(reserved.body) as { id: string; upload: string }
    const { pathname } = new URL(upload)
    const receiver = await receive(b.port, id, COMES_BACK)
    const piece = await connectRaw(c.port)
    const fields = {
      'Content-Type': 'application/partial-upload',
      'Upload-Offset': '0',
      'Upload-Complete': '?0',
      'Upload-Length': '10',
      'Content-Length': '5',
      ...GOES_BACK,
    }
    await piece.write(requestHead(`PATCH ${pathname}`, fields) + FILE.slice(0, 5))
    await piece.until(/^HTTP\/1\.1 204 /)
    void a.broker.stop(LONG_DRAIN_MS)
    expect(await receiver.ending()).toBe('rst')
    const lost = await goOn(c.port, pathname, 5)
    await lost.until(/^HTTP\/1\.1 503 [\s\S]* \[node-away\]\n/)
    const again = await reopen(c.port, pathname, id, { ...LENGTH, ...midway(5) })
    const back = await receive(b.port, id, { Range: 'bytes=5-' })
    const rest = await goOn(b.port, again, 5)
    expect(await whole(back)).toMatchObject({ status: 206, body: '56789' })
    await rest.until(/^HTTP\/1\.1 200 /)
  })
})

describe('a receiver that comes back to byte', () => {
  async function reopened(fields: Fields = LENGTH, offset = 5) {
    const nodes = await three()
    const { sender, receiver, upload } = await streaming(nodes.a)
    void nodes.a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    await receiver.ending()
    const again = await reopen(nodes.b.port, upload, sender.id, { ...midway(offset), ...fields })
    return { ...nodes, id: sender.id, upload: again, old: upload }
  }

  test.each([0, 3, 5, 6, 9])('%i, before its sender is back, gets the rest from there', async (from) => {
    const { b, c, id, upload } = await reopened()
    const receiver = await receive(c.port, id, from === 0 ? {} : { Range: `bytes=${from}-` })
    await untilBusy(c, id)
    await until(
      'it is asked for',
      async () => (await head(c.port, upload)).headers['upload-offset'] === `${from}`,
    )
    const asked = await head(c.port, upload)
    const current =
      asked.headers['location'] === undefined ? upload : new URL(asked.headers['location']).pathname
    const sender = await goOn(c.port, current, from)
    expect((await whole(receiver)).body).toBe(FILE.slice(from))
    await sender.until(/^HTTP\/1\.1 200 /)
    expect(await untilEnded(b)).toMatchObject([{ outcome: 'delivered', bytes: 10 }])
  })

  test.each([0, 3, 5, 6, 9])('%i, when its sender waits already, gets the rest from there', async (from) => {
    const { b, c, id, upload } = await reopened()
    const first = await goOn(c.port, upload, 5)
    await until('the sender waits', () => b.broker.sockets()[0]?.phase === 'interrupted')
    const receiver = await receive(c.port, id, from === 0 ? {} : { Range: `bytes=${from}-` })
    const { headers, status } = await answerOf(first)
    expect([status, headers['upload-offset']]).toEqual([409, `${from}`])
    await goOn(b.port, new URL(headers['location'] ?? '').pathname, from)
    expect((await whole(receiver)).body).toBe(FILE.slice(from))
    expect(await untilEnded(b)).toMatchObject([{ outcome: 'delivered', bytes: 10 }])
  })

  test('10 of 10 has everything, and may say so', async () => {
    const { b, c, id, upload } = await reopened()
    const asked = await exchange(c.port, requestHead(`GET /${id}`, { Range: 'bytes=10-' }))
    expect([asked.status, asked.headers['content-range']]).toEqual([416, 'bytes */10'])
    const said = await exchange(c.port, requestHead(`DELETE /${id}`, { 'Ess-Received': '10' }))
    expect(said.status).toBe(204)
    expect(await untilEnded(b)).toMatchObject([{ outcome: 'delivered', confirmed: true, bytes: 10 }])
    const { status, headers } = await head(c.port, upload)
    expect([status, headers['upload-complete']]).toEqual([204, '?1'])
  })

  test('11 of 10 has another file', async () => {
    const { b, c, id } = await reopened()
    const asked = await exchange(c.port, requestHead(`GET /${id}`, { Range: 'bytes=11-' }))
    expect(asked.status).toBe(409)
    const said = await exchange(c.port, requestHead(`DELETE /${id}`, { 'Ess-Received': '11' }))
    expect(said.status).toBe(400)
    expect(b.ends).toEqual([])
  })

  test('3, of a pipe that can only go back to 4, is told so', async () => {
    const { c, id, upload } = await reopened({ ...LENGTH, 'Ess-Resume': 'window=1' })
    expect((await exchange(c.port, requestHead(`GET /${id}`, { Range: 'bytes=3-' }))).status).toBe(409)
    expect((await exchange(c.port, requestHead(`GET /${id}`))).status).toBe(410)
    const receiver = await receive(c.port, id, { Range: 'bytes=4-' })
    await until('it is asked for', async () => (await head(c.port, upload)).headers['upload-offset'] === '4')
    const { headers } = await head(c.port, upload)
    await goOn(c.port, new URL(headers['location'] ?? '').pathname, 4)
    expect((await whole(receiver)).body).toBe('456789')
  })

  test.each([3, 5, 7])('%i of a file of unknown length gets the rest from there', async (from) => {
    const nodes = await three()
    const sender = await openSender(nodes.a.port, { headers: GOES_BACK })
    const first = await receive(nodes.a.port, sender.id, COMES_BACK)
    await sender.until(/"connected"/)
    await sender.write(chunk('01234'))
    await first.until(/01234\r\n$/)
    void nodes.a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    const upload = await reopen(nodes.b.port, uploadOf(sender), sender.id, midway(5))
    const receiver = await receive(nodes.c.port, sender.id, { 'Ess-Offset': `${from}` })
    await until(
      'it is asked for',
      async () => (await head(nodes.c.port, upload)).headers['upload-offset'] === `${from}`,
    )
    const asked = await head(nodes.c.port, upload)
    const current =
      asked.headers['location'] === undefined ? upload : new URL(asked.headers['location']).pathname
    const rest = await connectRaw(nodes.c.port)
    const fields = {
      'Content-Type': 'application/partial-upload',
      'Upload-Offset': `${from}`,
      'Upload-Complete': '?1',
      'Transfer-Encoding': 'chunked',
    }
    await rest.write(requestHead(`PATCH ${current}`, fields) + chunk(FILE.slice(from)) + LAST_CHUNK)
    const answer = await whole(receiver)
    expect([answer.status, answer.headers['ess-offset'], answer.body]).toEqual([
      200,
      `${from}`,
      FILE.slice(from),
    ])
  })

  test('5 goes on, is cut, and goes on again', async () => {
    const { b, c, id, upload } = await reopened()
    const second = await goOnSlowly(c.port, upload, 5, '56')
    const receiver = await receive(c.port, id, { Range: 'bytes=5-' })
    // It waited by a request of its own, so it is asked to begin again.
    const { headers } = await answerOf(second)
    const third = await goOnSlowly(c.port, new URL(headers['location'] ?? '').pathname, 5, '56')
    await receiver.until(/56$/)
    receiver.reset()
    await until('it is missed', () => b.broker.sockets()[0]?.phase === 'interrupted')
    expect((await exchange(c.port, requestHead(`GET /${id}`, { Range: 'bytes=8-' }))).status).toBe(409)
    const last = await receive(c.port, id, { Range: 'bytes=6-' })
    const rewound = await answerOf(third)
    await goOn(c.port, new URL(rewound.headers['location'] ?? '').pathname, 6)
    expect((await whole(last)).body).toBe('6789')
  })

  async function goOnSlowly(port: number, upload: string, from: number, part: string): Promise<RawPeer> {
    const peer = await connectRaw(port)
    const fields = {
      'Content-Type': 'application/partial-upload',
      'Upload-Offset': `${from}`,
      'Upload-Complete': '?1',
      'Content-Length': `${FILE.length - from}`,
    }
    await peer.write(requestHead(`PATCH ${upload}`, fields) + part)
    return peer
  }

  test('5 does not come: both are told so when the time is over', async () => {
    const nodes = await three({ resumeWithin: 1 })
    const { sender, upload } = await streaming(nodes.a)
    void nodes.a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    const again = await reopen(nodes.b.port, upload, sender.id, { ...LENGTH, ...midway(5) })
    const waiting = await goOn(nodes.c.port, again, 5)
    await waiting.until(
      /^HTTP\/1\.1 502 [\s\S]*The receiver did not come back within 1 s\. [\s\S]*receiver-lost/,
    )
    expect(await untilEnded(nodes.b)).toMatchObject([{ outcome: 'receiver-lost', bytes: 5 }])
  })
})

test('a sealed file keeps its notes, and nothing else of its names', async () => {
  const { a, b, c } = await three()
  const notes = { 'Ess-Sealed': 'c2VhbGVk', 'Ess-Bundle': 'tar;entries=2' }
  const sender = await openSender(a.port, {
    target: 'PUT /secret-name.txt',
    length: FILE.length,
    headers: { ...GOES_BACK, ...notes },
  })
  void a.broker.stop(LONG_DRAIN_MS)
  await expectMoved(sender)
  const named = { 'Content-Disposition': 'attachment; filename="secret-name.txt"' }
  const upload = await reopen(b.port, uploadOf(sender), sender.id, { ...LENGTH, ...notes, ...named })
  expect(b.broker.sockets()[0]?.fileName).toBe(undefined)
  const receiver = await openReceiver(c.port, `/${sender.id}`)
  await goOn(c.port, upload, 0)
  const { headers } = await whole(receiver)
  expect(headers).toMatchObject({
    'ess-sealed': 'c2VhbGVk',
    'ess-bundle': 'tar;entries=2',
    'content-disposition': `attachment; filename="${sender.id}.age"`,
  })
})

describe('a sender that asks to open its link again', () => {
  async function moved(): Promise<Three & { sender: RawSender; upload: string }> {
    const nodes = await three()
    const sender = await openSender(nodes.a.port, { length: FILE.length, headers: GOES_BACK })
    void nodes.a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    return { ...nodes, sender, upload: uploadOf(sender) }
  }

  test('twice, at any node, gets the same answer, and nothing changes', async () => {
    const { b, c, sender, upload } = await moved()
    const first = await askToReopen(b.port, upload, sender.id, LENGTH)
    const receiver = await openReceiver(c.port, `/${sender.id}`)
    for (const { port } of [b, c]) {
      const again = await askToReopen(port, upload, sender.id, { ...LENGTH, ...midway(3) })
      expect([again.status, JSON.parse(again.body)]).toEqual([201, JSON.parse(first.body)])
    }
    expect([b.broker.counts().sockets, c.broker.counts().sockets]).toEqual([1, 0])
    const current = new URL((JSON.parse(first.body) as Again).upload).pathname
    await goOn(c.port, current, 0)
    expect(await whole(receiver)).toMatchObject({ body: FILE })
  })

  test('finds its new upload resource by the old one as well', async () => {
    const { b, c, sender, upload } = await moved()
    const again = await reopen(b.port, upload, sender.id, LENGTH)
    for (const { port } of [b, c]) {
      const { status, headers } = await head(port, upload)
      expect([status, headers['upload-offset'], headers['location']]).toEqual([
        409,
        '0',
        `http://localhost${again}`,
      ])
    }
  })

  test('while its node has it gets its upload resource, and nothing changes', async () => {
    const { a, b } = await three()
    const { sender, receiver, upload } = await streaming(a)
    for (const { port } of [a, b]) expect(await reopen(port, upload, sender.id, midway(2))).toBe(upload)
    await sender.write(FILE.slice(5))
    expect(await whole(receiver)).toMatchObject({ body: FILE })
    expect(b.broker.counts().sockets).toBe(0)
  })

  test('at two nodes at once has one socket, whose address both answers give', async () => {
    const { a, b, c } = await three({ maxSocketsPerClient: 1000 })
    const senders = await Promise.all(
      Array.from({ length: 20 }, () => openSender(a.port, { length: FILE.length, headers: GOES_BACK })),
    )
    void a.broker.stop(LONG_DRAIN_MS)
    await Promise.all(senders.map(expectMoved))
    for (const sender of senders) {
      const at = [b, c, b, c]
      const uploads = await Promise.all(
        at.map(({ port }) => reopen(port, uploadOf(sender), sender.id, LENGTH)),
      )
      expect(new Set(uploads).size).toBe(1)
      const [upload = ''] = uploads
      const receiver = await openReceiver(c.port, `/${sender.id}`)
      await goOn(b.port, upload, 0)
      expect(await whole(receiver)).toMatchObject({ body: FILE })
    }
    await until('all have ended', () => b.broker.counts().sockets + c.broker.counts().sockets === 0)
    const ended = [...b.ends, ...c.ends].filter(({ outcome }) => outcome !== 'moved')
    expect(ended.map(({ outcome }) => outcome)).toEqual(senders.map(() => 'delivered'))
  })

  test('moves on when the next node stops, too', async () => {
    const { b, c, sender, upload } = await moved()
    const second = await reopen(b.port, upload, sender.id, LENGTH)
    await b.broker.stop(LONG_DRAIN_MS)
    expect((await head(c.port, second)).status).toBe(503)
    const third = await reopen(c.port, second, sender.id, LENGTH)
    const receiver = await openReceiver(c.port, `/${sender.id}`)
    await goOn(c.port, third, 0)
    expect(await whole(receiver)).toMatchObject({ body: FILE })
  })

  test('as docs/protocol.md shows it is taken at its word', async () => {
    const { b, sender, upload } = await moved()
    const blocks = fencedBlocks(await readPage('docs/protocol.md')).map(({ text }) => text)
    const shown = blocks.find((text) => text.includes('Ess-Reopen: ')) ?? ''
    const asked = shown
      .replace(/\/uploads\/[\w-]{43}(?=\?)/, upload)
      .replace(/(?<=Ess-Reopen: )\S+/, sender.id)
      .replace('Content-Length: 0', 'Content-Length: 0\nConnection: close')
    const { status, body } = await exchange(b.port, `${asked.trimEnd().replaceAll('\n', '\r\n')}\r\n\r\n`)
    expect(status, body).toBe(201)
    const [socket] = b.broker.sockets({ ids: true })
    expect(socket).toMatchObject({
      id: sender.id,
      phase: 'interrupted',
      fileName: 'notes.txt',
      contentLength: 100_000_000,
    })
    const asks = await head(b.port, new URL((JSON.parse(body) as Again).upload).pathname)
    expect(asks.headers['upload-offset']).toBe('40000000')
  })

  test('at the node that stops is sent to another one', async () => {
    const { a, sender, upload } = await moved()
    const answer = await askToReopen(a.port, upload, sender.id, LENGTH)
    expect([answer.status, answer.body]).toEqual([503, expect.stringMatching(/:shutting-down"/)])
  })

  test('after its end is told that it is over', async () => {
    const { b, c, sender, upload } = await moved()
    const again = await reopen(b.port, upload, sender.id, LENGTH)
    expect((await exchange(c.port, requestHead(`DELETE ${again}`))).status).toBe(204)
    await untilEnded(b)
    for (const { port } of [b, c])
      expect((await askToReopen(port, upload, sender.id, LENGTH)).status).toBe(410)
  })

  test.each<[string, number, Fields, RegExp]>([
    ['brings bytes', 400, { 'Content-Length': '3' }, /takes no bytes/],
    ['had bytes handed on without a receiver', 400, { 'Upload-Offset': '3' }, /Ess-Connected/],
    ['had more handed on than the file has', 400, midway(11), /Upload-Offset is 11/],
    ['had a receiver and can’t go back', 410, { ...midway(5), 'Ess-Resume': '?1' }, /can't go back/],
    ['has a malformed note', 400, { 'Ess-Sealed': '!' }, /Ess-Sealed/],
    ['has too much', 413, { 'Upload-Length': '2000000' }, /too-large/],
  ])('that %s is refused with %i', async (_what, status, fields, words) => {
    const { a, b } = await three({ maxUploadBytes: 1_000_000 })
    const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
    void a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    const answer = await askToReopen(b.port, uploadOf(sender), sender.id, { ...LENGTH, ...fields })
    expect([answer.status, answer.body]).toEqual([status, expect.stringMatching(words)])
    expect(b.broker.counts().sockets).toBe(0)
    // It is no worse off than before.
    await reopen(b.port, uploadOf(sender), sender.id, LENGTH)
  })

  test('counts as one that opens a socket, against all limits', async () => {
    const { a, b, c } = await three({ maxSockets: 1 })
    const sender = await openSender(a.port, { length: 1, headers: GOES_BACK })
    await openSender(b.port, { length: 1 })
    void a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    const full = await askToReopen(b.port, uploadOf(sender), sender.id)
    expect([full.status, full.body]).toEqual([503, expect.stringMatching(/:too-many-sockets"/)])
    await reopen(c.port, uploadOf(sender), sender.id)
    expect(c.broker.counts().held).toBe(1)
  })

  test('must be allowed to send', async () => {
    const [a, b] = await serveNodes(2, {
      authorize: (access, { headers }) => access === 'receive' || headers.authorization === 'Bearer t',
    })
    if (a === undefined || b === undefined) throw new Error('Expected two nodes')
    const token = { Authorization: 'Bearer t' }
    const sender = await openSender(a.port, { length: 1, headers: { ...GOES_BACK, ...token } })
    void a.broker.stop(LONG_DRAIN_MS)
    await expectMoved(sender)
    expect((await askToReopen(b.port, uploadOf(sender), sender.id)).status).toBe(401)
    await reopen(b.port, uploadOf(sender), sender.id, token)
  })
})

describe('a token', () => {
  const STRANGE = `/uploads/${'x'.repeat(43)}`

  test.each([
    ['that no node has made', STRANGE],
    ['as a server that is alone makes it', `/uploads/${'x'.repeat(22)}`],
  ])('%s opens nothing, whether or not the id is known', async (_what, upload) => {
    const { a, b } = await three()
    const sender = await openSender(a.port, { length: 1, headers: GOES_BACK })
    const unknown = await head(b.port, upload)
    for (const id of [sender.id, 'abcdefghijkl', 'no id'])
      expect((await askToReopen(b.port, upload, id)).status).toBe(404)
    await a.broker.stop(LONG_DRAIN_MS)
    const answer = await askToReopen(b.port, upload, sender.id)
    expect(answer.status).toBe(unknown.status)
    expect(answer.body).toMatch(/:not-found".*No upload has this address\./)
    expect(b.broker.counts().sockets).toBe(0)
  })

  test('of another link opens nothing', async () => {
    const { a, b } = await three()
    const [one, other] = [
      await openSender(a.port, { length: 1, headers: GOES_BACK }),
      await openSender(a.port, { length: 1, headers: GOES_BACK }),
    ]
    for (const { port } of [a, b]) expect((await askToReopen(port, uploadOf(one), other.id)).status).toBe(404)
    await a.broker.stop(LONG_DRAIN_MS)
    expect((await askToReopen(b.port, uploadOf(one), other.id)).status).toBe(404)
    await reopen(b.port, uploadOf(other), other.id)
  })

  test('of a server that is alone opens nothing, and uploads nothing', async () => {
    const { port, broker } = await serve({ reservations: true })
    const sender = await openSender(port, { length: 5, headers: GOES_BACK })
    const answer = await askToReopen(port, uploadOf(sender), sender.id)
    expect([answer.status, answer.body]).toEqual([404, expect.stringMatching(/:not-found"/)])
    expect(broker.sockets().map(({ phase }) => phase)).toEqual(['waiting'])
    await broker.stop(0)
    await expectSenderFailed(sender, 'shutting-down')
  })
})

test('a receiver that waits for the sender that was moved is held until that is back', async () => {
  const { a, b, c } = await three()
  const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
  sender.reset()
  await until('it is missed', () => a.broker.sockets()[0]?.phase === 'interrupted')
  const early = await receive(c.port, sender.id, COMES_BACK)
  await untilBusy(a, sender.id)
  void a.broker.stop(LONG_DRAIN_MS)
  await early.until(/^HTTP\/1\.1 503 [\s\S]* \[node-away\]\n/)
  const late = await receive(c.port, sender.id)
  await until('it is held', () => c.broker.counts().awaiting === 1)
  const upload = await reopen(b.port, uploadOf(sender), sender.id, LENGTH)
  await goOn(c.port, upload, 0)
  expect(await whole(late)).toMatchObject({ body: FILE })
})

test('what a node lets go is in its log once, and in no log whole', async () => {
  const { a, b } = await three()
  const sender = await openSender(a.port, { length: FILE.length, headers: GOES_BACK })
  const [opened, ended] = [[] as string[], [] as string[]]
  b.service.on('socket:reopened', ({ phase }) => opened.push(phase))
  a.service.on('socket:moved', (_socket, { outcome }) => ended.push(outcome))
  void a.broker.stop(LONG_DRAIN_MS)
  await expectMoved(sender)
  await reopen(b.port, uploadOf(sender), sender.id, LENGTH)
  expect([opened, ended]).toEqual([['reserved'], ['moved']])
  expect(bodyOf(sender)).not.toMatch(/"failed"/)
})

test('a node that stops takes no new connections, and answers requests that have begun and those of other nodes', async () => {
  const { a, b } = await three()
  const sender = await openSender(a.port, { length: FILE.length })
  const open = await connectRaw(a.port)
  const refused = senderHead({ length: 1, headers: { Connection: 'close' } })
  // Node 26 closes connections at once on which nothing has come.
  await open.write(refused.slice(0, 5))
  const receiver = await receive(b.port, sender.id)
  await sender.until(/"connected"/)
  const stopped = a.server.stop(LONG_DRAIN_MS)
  await expect(connectRaw(a.port)).rejects.toThrow(/ECONNREFUSED/)
  await open.write(refused.slice(5))
  const answer = await answerOf(open)
  expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1'])
  // A receiver at another node meets the one that is there.
  expect((await exchange(b.port, requestHead(`GET /${sender.id}`))).status).toBe(409)
  await sender.write(FILE)
  expect(await whole(receiver)).toMatchObject({ body: FILE })
  await sender.until(/"delivered"/)
  await within(DEADLINE_MS, 'the node stops', stopped)
})
