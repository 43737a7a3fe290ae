import { expect, test } from 'vitest'
import { exchange, parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw } from '../../helpers/raw-peer.js'
import { chunk, LAST_CHUNK, openReceiver, openSender, type RawSender, serve, untilEnded } from '../serve.js'

const TE = { TE: 'trailers' }
const HIDDEN = { proxyHidesCuts: true, reservations: true }

/** A receiver that reads trailers. */
async function openTrailerReader(port: number, sender: RawSender) {
  const receiver = await connectRaw(port)
  await receiver.write(requestHead(`GET /${sender.id}`, TE))
  await sender.until(/"event":"connected"/)
  return receiver
}

test('a download of unknown length that is whole ends with its length', async () => {
  const { port } = await serve()
  const sender = await openSender(port)
  const receiver = await openTrailerReader(port, sender)
  await sender.write(chunk('hello') + LAST_CHUNK)
  expect(await receiver.ending()).toBe('fin')
  expect(receiver.text()).toMatch(/\r\nTrailer: Ess-Length\r\n/)
  expect(receiver.text()).toMatch(/hello\r\n0\r\nEss-Length: 5\r\n\r\n$/)
  receiver.end()
  await sender.until(/"event":"delivered","bytes":5,"confirmed":true/)
})

test('a download that is cut promises its length, and never says it', async () => {
  const { port } = await serve()
  const sender = await openSender(port)
  const receiver = await openTrailerReader(port, sender)
  await sender.write(chunk('hello'))
  await receiver.until(/hello/)
  sender.reset()
  expect(await receiver.ending()).toBe('rst')
  expect(receiver.text()).toMatch(/\r\nTrailer: Ess-Length\r\n/)
  expect(receiver.text()).not.toMatch(/Ess-Length: /)
})

test.each([
  ['the length is known', { length: 5 }, 'hello', TE],
  ['the receiver reads no trailers', {}, chunk('hello') + LAST_CHUNK, {}],
  ['the receiver takes other codings only', {}, chunk('hello') + LAST_CHUNK, { TE: 'gzip, deflate;q=0.5' }],
])('nothing is promised where %s', async (_why, request, body, headers) => {
  const { port } = await serve()
  const sender = await openSender(port, request)
  const answer = exchange(port, requestHead(`GET /${sender.id}`, headers))
  await sender.write(body)
  expect((await answer).headers).not.toHaveProperty('trailer')
})

test('where a proxy hides cuts, a receiver that could not tell is refused, and the socket waits for one that can', async () => {
  const served = await serve(HIDDEN)
  const sender = await openSender(served.port)
  const refused = await openReceiver(served.port, `/${sender.id}`)
  await refused.until(/ \[length-unknown\]\n$/)
  expect(parseAnswer(refused.text()).status).toBe(406)
  const receiver = await openTrailerReader(served.port, sender)
  await sender.write(chunk('hello') + LAST_CHUNK)
  await receiver.ending()
  receiver.end()
  expect(await untilEnded(served)).toMatchObject([{ outcome: 'delivered', bytes: 5 }])
})

test('where a proxy hides cuts, a sealed file of unknown length goes to every receiver', async () => {
  const { port } = await serve(HIDDEN)
  const sender = await openSender(port, { headers: { 'Ess-Sealed': 'c2VhbGVk' } })
  const answer = exchange(port, requestHead(`GET /${sender.id}`))
  await sender.until(/"event":"connected"/)
  await sender.write(chunk('hello') + LAST_CHUNK)
  expect(await answer).toMatchObject({ status: 200, headers: { 'ess-sealed': 'c2VhbGVk' } })
})

test('where a proxy hides cuts, a file of known length goes to every receiver', async () => {
  const { port } = await serve(HIDDEN)
  const sender = await openSender(port, { length: 5 })
  const answer = exchange(port, requestHead(`GET /${sender.id}`))
  await sender.write('hello')
  expect(await answer).toMatchObject({ status: 200, body: 'hello' })
})

test.each([
  ['text', 'text/plain', 409],
  ['anything', '*/*', 409],
  ['NDJSON', 'application/x-ndjson', 201],
  ['server-sent events', 'text/event-stream', 201],
])(
  'where a proxy hides cuts, a sender that asks for %s is answered by %s: %i',
  async (_what, accept, status) => {
    const { port, opened } = await serve(HIDDEN)
    const peer = await connectRaw(port)
    await peer.write(requestHead('POST /', { Accept: accept, 'Content-Length': '5' }))
    await peer.until(new RegExp(`^HTTP/1\\.1 ${status} `))
    if (status === 409) await peer.until(/\/reserve .*docs\/deploying\.md\. \[reservation-required\]\n$/s)
    expect(opened).toHaveLength(status === 201 ? 1 : 0)
  },
)
