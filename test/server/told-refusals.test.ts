import { beforeEach, describe, expect, test } from 'vitest'
import { PROBLEMS, type ProblemCode } from '../../shared/index.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { setTimings } from '../helpers/timings.js'
import { until } from '../helpers/within.js'
import { serve } from './serve.js'

beforeEach(() => setTimings({ restOfBodyMs: 200, drainMs: 200 }))

describe('a refusal is told of, once, with who it was:', () => {
  test.each<[string, ProblemCode, string]>([
    ['what is no HTTP', 'bad-request', 'hello\r\n\r\n'],
    ['a head that is too large', 'headers-too-large', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['two lengths', 'bad-request', requestHead('POST /', { 'Content-Length': '5', 'content-length': '6' })],
    ['a foreign expectation', 'expectation-failed', requestHead('POST /', { Expect: 'wonders' })],
    ['a target that makes no URL', 'bad-request', requestHead('GET http://[/')],
    ['a Host that makes no URL', 'bad-request', requestHead('POST /', { Host: 'a b' })],
    ['CONNECT', 'method-not-allowed', requestHead('CONNECT example.org:443')],
  ])('%s', async (_what, code, bytes) => {
    const served = await serve()
    const from: (string | undefined)[] = []
    served.service.on('request:refused', (_error, request) => from.push(request.socket.remoteAddress))
    const answer = await exchange(served.port, bytes)
    expect(answer).toMatchObject({
      status: PROBLEMS[code].status,
      body: expect.stringMatching(new RegExp(` \\[${code}\\]\n$`)),
    })
    expect(served.refused).toEqual([code])
    expect(from).toEqual(['127.0.0.1'])
  })
})

test('CONNECT is told what there is instead, and a peer that stays is dropped', async () => {
  const { port } = await serve()
  const peer = await connectRaw(port)
  await peer.write(requestHead('CONNECT example.org:443', { Connection: 'keep-alive' }))
  expect(await peer.ending()).toBe('fin')
  expect(parseAnswer(peer.text()).headers).toMatchObject({
    allow: expect.stringContaining('PUT'),
    connection: 'close',
  })
  await untilDropped(peer)
})

test('a request that would rather speak something else is answered as any other', async () => {
  const { port } = await serve()
  const asks = { Connection: 'Upgrade', Upgrade: 'websocket' }
  const peer = await connectRaw(port)
  await peer.write(requestHead('GET /health', asks))
  await peer.until(/^HTTP\/1\.1 200 .*\r\n\r\n\{.*\}$/s)
})

describe('a connection is not held by the body of a request that was answered without it:', () => {
  test.each(['GET /health', 'GET /', 'HEAD /health', 'DELETE /health', 'OPTIONS /', 'POST /reserve'])(
    '%s',
    async (target) => {
      const { port } = await serve({ reservations: true })
      const peer = await connectRaw(port)
      await peer.write(requestHead(target, { Connection: 'keep-alive', 'Transfer-Encoding': 'chunked' }))
      await peer.until(/^HTTP\/1\.1 \d{3} .*\r\n\r\n/s)
      expect(await peer.ending()).toBe('fin')
      await untilDropped(peer)
    },
  )

  test('one that comes whole leaves it open', async () => {
    const { port } = await serve()
    const peer = await connectRaw(port)
    const request = requestHead('GET /health', { Connection: 'keep-alive', 'Content-Length': '2' })
    await peer.write(`${request}ok`)
    await peer.until(/^HTTP\/1\.1 200 .*\}$/s)
    await peer.write(`${request}ok`)
    await peer.until(/HTTP\/1\.1 200 .*HTTP\/1\.1 200 /s)
  })
})

/** It never closes its half: the server is done with it when its bytes meet a connection that is no more. */
async function untilDropped(peer: Awaited<ReturnType<typeof connectRaw>>): Promise<void> {
  await until('the server drops the connection', () =>
    peer.write('1\r\nx\r\n').then(
      () => false,
      () => true,
    ),
  )
}
