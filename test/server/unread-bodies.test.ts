import { expect, test } from 'vitest'
import { requestHead } from '../helpers/http-exchange.js'
import { connectRaw, type RawPeer } from '../helpers/raw-peer.js'
import { until } from '../helpers/within.js'
import { bodyOf, chunk, LAST_CHUNK, openSender, serve } from './serve.js'

/** More than Node reads of a body that nobody wants. */
const LARGE = 'x'.repeat(200_000)
const CHUNKED = { 'Transfer-Encoding': 'chunked' }

test('a receiver that sends a body with its request is served, and confirms', async () => {
  const { port } = await serve()
  const sender = await openSender(port, { length: 5 })
  const receiver = await connectRaw(port)
  await receiver.write(requestHead(`GET /${sender.id}`, CHUNKED) + chunk(LARGE) + LAST_CHUNK)
  await sender.until(/"connected"/)
  await sender.write('hello')
  expect(await receiver.ending()).toBe('fin')
  expect(bodyOf(receiver)).toBe('hello')
  receiver.end()
  await sender.until(/"delivered","bytes":5,"confirmed":true/)
})

test('a receiver that sends another request with a body, before it has its file, is served, and confirms', async () => {
  const { port } = await serve()
  const sender = await openSender(port, { length: 5 })
  const receiver = await connectRaw(port)
  await receiver.write(requestHead(`GET /${sender.id}`, { Connection: 'keep-alive' }))
  await sender.until(/"connected"/)
  await receiver.write(requestHead('POST /', CHUNKED) + chunk(LARGE) + LAST_CHUNK)
  await sender.write('hello')
  expect(await receiver.ending()).toBe('fin')
  receiver.end()
  await sender.until(/"delivered","bytes":5,"confirmed":true/)
})

test('a request whose body breaks while it waits leaves no connection behind', async () => {
  const { port } = await serve({ reservations: true })
  const reserving = await connectRaw(port)
  await reserving.write(requestHead('POST /reserve'))
  const [, id] = await reserving.until(/\nhttp:\/\/localhost\/(\S+)\n/)
  const receiver = await connectRaw(port)
  await receiver.write(`${requestHead(`GET /${id}`, CHUNKED)}${chunk(LARGE)}no chunk\r\n`)
  await receiver.until(/^HTTP\/1\.1 400 .*\r\n\r\n.* \[bad-request\]\n$/s)
  await untilDropped(receiver)
})

test('a peer that was told that it speaks no HTTP, and stays, is dropped', async () => {
  const { port } = await serve()
  const peer = await connectRaw(port)
  await peer.write('hello\r\n\r\n')
  await peer.until(/^HTTP\/1\.1 400 .*\n$/s)
  await untilDropped(peer)
})

/** It never closes its half: the server is done with it when its bytes meet a connection that is no more. */
async function untilDropped(peer: RawPeer): Promise<void> {
  await until('the server drops the connection', () =>
    peer.write('still here\r\n').then(
      () => false,
      () => true,
    ),
  )
}
