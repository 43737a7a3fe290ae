import type { ClientHttp2Stream } from 'node:http2'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { certificate } from '../../helpers/certificate.js'
import { exchange, requestHead } from '../../helpers/http-exchange.js'
import { connectSession } from '../../helpers/http2-peer.js'
import { connectRaw, speakTls } from '../../helpers/raw-peer.js'
import { DEADLINE_MS, until, within } from '../../helpers/within.js'
import { openSender, untilEnded } from '../serve.js'
import { answerOf, FILE, GOES_BACK, LONG_DRAIN_MS, three, uploadOf } from './moving.js'

/*
 * A browser keeps its connections, and asks on each of them as long as it is open. If a node that stops left them open, its
 * clients would ask that node again and again, for as long as another transfer keeps it.
 */

/** As a browser asks. */
const KEEPS = { Connection: 'keep-alive' }

/** The head of an empty piece: it is answered when a receiver has come. */
const EMPTY_PIECE = {
  ...GOES_BACK,
  'Content-Type': 'application/partial-upload',
  'Upload-Offset': '0',
  'Upload-Complete': '?0',
  'Upload-Length': String(FILE.length),
  'Content-Length': '0',
}

test('an open connection ends with the answer that its sender waits for', async () => {
  const { a } = await three()
  const reserved = await exchange(a.port, requestHead('POST /reserve', { Accept: 'application/json' }))
  const upload = new URL((JSON.parse(reserved.body) as { upload: string }).upload).pathname
  const sender = await connectRaw(a.port)
  await sender.write(requestHead(`PATCH ${upload}`, { ...EMPTY_PIECE, ...KEEPS }))
  await until('the sender waits', () => a.broker.sockets()[0]?.phase === 'waiting')
  void a.server.stop(LONG_DRAIN_MS)
  const answer = await answerOf(sender)
  expect([answer.status, answer.headers['connection']]).toEqual([503, 'close'])
})

test('an open connection ends with the answer to a request that was on its way', async () => {
  const { a } = await three()
  // It keeps the node.
  const sender = await openSender(a.port, { length: FILE.length })
  const receiver = await connectRaw(a.port)
  await receiver.write(requestHead(`GET /${sender.id}`))
  await sender.until(/"connected"/)
  const follower = await connectRaw(a.port)
  // Node closes connections at once on which nothing has come.
  await follower.write(requestHead(`HEAD ${uploadOf(sender)}`, KEEPS).slice(0, -2))
  // By then that has come.
  await exchange(a.port, requestHead('GET /health'))
  void a.server.stop(LONG_DRAIN_MS)
  await follower.write('\r\n')
  expect(await follower.ending()).toBe('fin')
  expect(follower.text()).toMatch(/Connection: close/i)
  expect(a.ends).toEqual([])
})

test('a connection of HTTP/2 takes no more requests, but ends no earlier than a download on it is confirmed', async () => {
  const { path: certFile, keyPath: keyFile } = await certificate()
  const { a } = await three({}, { tls: { certFile, keyFile } })
  speakTls(a.port, 'h2')
  const sender = await openSender(a.port, { length: FILE.length })
  const receiving = await connectSession(a.port)
  const download = receiving.session.request({ ':path': `/${sender.id}` })
  await sender.until(/"connected"/)
  const other = await connectSession(a.port)
  const ended = Promise.all([receiving, other].map(({ session }) => closed(session)))
  const stopped = a.server.stop(LONG_DRAIN_MS)
  await within(DEADLINE_MS, 'an idle connection ends', closed(other.session))
  expect(receiving.session.closed).toBe(false)
  await sender.write(FILE)
  expect(await bodyOf(download)).toBe(FILE)
  expect(await untilEnded(a)).toMatchObject([{ outcome: 'delivered', confirmed: true }])
  await within(DEADLINE_MS, 'the other one ends', ended)
  await within(DEADLINE_MS, 'the node stops', stopped)
})

test('a sender by HTTP/2 is sent away with its answer', async () => {
  const { path: certFile, keyPath: keyFile } = await certificate()
  const { a } = await three({}, { tls: { certFile, keyFile } })
  speakTls(a.port, 'h2')
  // It keeps the node.
  const kept = await openSender(a.port, { length: FILE.length })
  const { session } = await connectSession(a.port)
  const reserving = session.request({ ':method': 'POST', ':path': '/reserve', accept: 'application/json' })
  const { upload } = JSON.parse(await bodyOf(reserving)) as { upload: string }
  const headers = Object.fromEntries(
    Object.entries(EMPTY_PIECE).map(([name, value]) => [name.toLowerCase(), value]),
  )
  const piece = session.request({ ':method': 'PATCH', ':path': new URL(upload).pathname, ...headers })
  const answered = new Promise<number>((resolve) =>
    piece.once('response', (head) => resolve(Number(head[':status']))),
  )
  await until('the sender waits', () => a.broker.sockets().every(({ phase }) => phase === 'waiting'))
  const receiver = await connectRaw(a.port)
  await receiver.write(requestHead(`GET /${kept.id}`))
  await kept.until(/"connected"/)
  void a.server.stop(LONG_DRAIN_MS)
  expect(await within(DEADLINE_MS, 'the answer', answered)).toBe(503)
  await within(DEADLINE_MS, 'the connection ends', closed(session))
  expect(a.broker.counts().sockets).toBe(1)
})

async function bodyOf(stream: ClientHttp2Stream): Promise<string> {
  return await within(DEADLINE_MS, 'the answer is whole', text(stream))
}

function closed(session: Awaited<ReturnType<typeof connectSession>>['session']): Promise<void> {
  return new Promise((resolve) => {
    if (session.destroyed) resolve()
    else session.once('close', () => resolve())
  })
}
