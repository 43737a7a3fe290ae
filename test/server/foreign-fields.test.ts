import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createService } from '../../server/index.js'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import {
  chunk,
  connectReceiver,
  eventsOf,
  expectSenderFailed,
  LAST_CHUNK,
  openSender,
  senderHead,
} from './serve.js'

/** What a host says of its own bodies, which are not ours. */
const ABOUT_THE_BODY: Readonly<Record<string, string>> = {
  'Content-Length': '3',
  'Transfer-Encoding': 'identity',
  'transfer-encoding': 'gzip, chunked',
  'Content-Encoding': 'gzip',
  'Content-Range': 'bytes 0-2/1000',
  'Content-MD5': 'Q2hlY2sgSW50ZWdyaXR5IQ==',
  'Content-Digest': 'sha-256=:4REjxQ4yrqUVicfSKYNO/cF9zNj5ANbzgDZt3/h3Qxo=:',
  'Repr-Digest': 'sha-256=:4REjxQ4yrqUVicfSKYNO/cF9zNj5ANbzgDZt3/h3Qxo=:',
  Digest: 'sha-256=4REjxQ4yrqUVicfSKYNO/cF9zNj5ANbzgDZt3/h3Qxo=',
  Trailer: 'X-Y',
  TE: 'gzip',
  Upgrade: 'h2c',
  Connection: 'upgrade',
  'Keep-Alive': 'timeout=5000',
  'Proxy-Connection': 'keep-alive',
}

const OTHERS = { 'X-Host': 'mine', 'Set-Cookie': 'a=b', 'Content-Security-Policy': "default-src 'none'" }

/** A server of the host's own, with the service behind what `prepare` does to each response. */
async function host(
  prepare: (response: ServerResponse, request: IncomingMessage) => void,
  mount: (own: RequestListener, service: RequestListener) => RequestListener = (own, service) =>
    (request, response) => {
      own(request, response)
      service(request, response)
    },
): Promise<number> {
  const service = createService({ reservations: true })
  const server = createServer(mount((request, response) => prepare(response, request), service.handler))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    service.stopNow()
    server.close()
    server.closeAllConnections()
  })
  // A server that listens on TCP has this kind of address.
  return (server.address() as AddressInfo).port
}

const MOUNTS: Readonly<Record<string, Parameters<typeof host>[1]>> = {
  'node:http': undefined,
  Express: (own, service) =>
    express()
      .use((request, response, next) => {
        own(request, response)
        next()
      })
      .use(service),
  'node:http, behind the service': (own, service) => (request, response) => {
    service(request, response)
    if (!response.headersSent) own(request, response)
  },
}

/** An answer whose framing is what its body is; throws for one that ends in the middle. */
function wholeAnswer(text: string) {
  const answer = parseAnswer(text)
  const { headers, body } = answer
  const isChunked = headers['transfer-encoding'] === 'chunked'
  expect(isChunked ? undefined : Number(headers['content-length'])).toBe(isChunked ? undefined : body.length)
  expect(Object.keys(headers).filter((name) => /encoding$/.test(name))).toEqual(
    isChunked ? ['transfer-encoding'] : [],
  )
  expect(Object.keys(headers).filter((name) => /range$|digest$|md5$|upgrade|^te$|^proxy/.test(name))).toEqual(
    [],
  )
  expect(headers['connection'] ?? 'close').toMatch(/^(?:close|keep-alive)$/)
  expect(headers['trailer'] ?? 'Ess-Length').toBe('Ess-Length')
  return answer
}

describe.each(Object.entries(MOUNTS))('a field about the body that a host has set in %s', (name, mount) => {
  const isBefore = !name.includes('behind')

  test('has no say in a transfer', () =>
    forEachField(async (field, value) => {
      const port = await host((response) => {
        for (const [other, text] of Object.entries({ ...OTHERS, [field]: value }))
          response.setHeader(other, text)
      }, mount)
      for (const [length, body, headers] of [
        [undefined, chunk('hello') + LAST_CHUNK, {}],
        [undefined, chunk('hello') + LAST_CHUNK, { TE: 'trailers' }],
        [5, 'hello', {}],
      ] as const) {
        const sender = await openSender(port, length === undefined ? {} : { length })
        const receiver = await connectRaw(port)
        await receiver.write(requestHead(`GET /${sender.id}`, headers))
        await sender.until(/"connected"/)
        await sender.write(body)
        expect(await receiver.ending()).toBe('fin')
        receiver.end()
        const download = wholeAnswer(receiver.text().replace(/0\r\nEss-Length: 5\r\n\r\n$/, LAST_CHUNK))
        expect(download).toMatchObject({ status: 200, body: 'hello' })
        if (isBefore) expect(download.headers).toMatchObject({ 'x-host': 'mine', 'set-cookie': 'a=b' })
        await sender.until(/"delivered".*0\r\n\r\n$/s)
        const status = wholeAnswer(sender.text())
        expect(status).toMatchObject({ status: 201 })
        if (isBefore)
          expect(status.headers).toMatchObject({
            'x-host': 'mine',
            'content-security-policy': "default-src 'none'",
          })
        expect(eventsOf(sender).at(-1)).toMatchObject({ event: 'delivered', bytes: 5 })
      }
    }))

  test('has no say in any other answer', () =>
    forEachField(async (field, value) => {
      const port = await host((response, { url: target }) => {
        // A router writes this one at once.
        if (!isBefore && target === '/reserve') return
        for (const [other, text] of Object.entries({ ...OTHERS, [field]: value }))
          response.setHeader(other, text)
      }, mount)
      const reserve = await connectRaw(port)
      await reserve.write(requestHead('POST /reserve'))
      const [, url = '', upload = ''] = await reserve.until(/(http:\S+)\nhttp:\/\/localhost(\S+)\n/)
      if (isBefore) expect(wholeAnswer(await rest(reserve))).toMatchObject({ status: 201 })
      const follower = await connectRaw(port)
      await follower.write(requestHead(`GET ${upload}/events`, { Accept: 'application/x-ndjson' }))
      await follower.until(/"reserved"/)
      // Its head is written long after its request was handed over.
      const receiver = await connectRaw(port)
      await receiver.write(requestHead(`GET ${new URL(url).pathname}`))
      const final = await connectRaw(port)
      await final.write(`${requestHead(`PUT ${upload}`, { 'Content-Length': '5' })}hello`)
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      expect(wholeAnswer(receiver.text())).toMatchObject({ status: 200, body: 'hello' })
      expect(wholeAnswer(await rest(final))).toMatchObject({ status: 200, body: '# delivered: 5 bytes\n' })
      await follower.until(/"delivered".*0\r\n\r\n$/s)
      expect(wholeAnswer(follower.text())).toMatchObject({ status: 200 })
      const gone = await connectRaw(port)
      await gone.write(requestHead(`GET ${new URL(url).pathname}`))
      expect(wholeAnswer(await rest(gone))).toMatchObject({
        status: 410,
        body: expect.stringMatching(/ \[gone\]\n$/),
      })
      expect(await exchange(port, requestHead('PUT /?ttl=0', { 'Content-Length': '0' }))).toMatchObject({
        status: 400,
      })
    }))
})

/** All at once, because most of a transfer's time is to wait for its news. */
async function forEachField(check: (field: string, value: string) => Promise<void>): Promise<void> {
  const checks = Object.entries(ABOUT_THE_BODY).map(async ([field, value]) => {
    await check(field, value).catch((cause: unknown) => {
      throw new Error(`${field}: ${value}: ${cause instanceof Error ? cause.message : cause}`, { cause })
    })
  })
  await Promise.all(checks)
}

async function rest(peer: Awaited<ReturnType<typeof connectRaw>>): Promise<string> {
  await peer.ending()
  peer.end()
  return peer.text()
}

test('a host that ends its connections goes on doing so', async () => {
  const port = await host((response) => response.setHeader('Connection', 'close'))
  const sender = await openSender(port, { length: 5, headers: { Connection: 'keep-alive' } })
  const receiver = await connectReceiver(port, sender)
  await sender.write('hello')
  await rest(receiver)
  expect(await sender.ending()).toBe('fin')
  expect(wholeAnswer(sender.text())).toMatchObject({
    status: 201,
    body: expect.stringMatching(/"delivered"/),
  })
})

describe('a head that can not be written', () => {
  /** Each request of `method` gets a `writeHead` that throws, `times` times. */
  const throwing = (method: string, times = Number.POSITIVE_INFINITY) =>
    host((response, request) => {
      if (request.method !== method) return
      const { writeHead } = response
      let left = times
      // It has many forms, and is called in one of them.
      response.writeHead = ((...parameters: Parameters<typeof writeHead>) => {
        if (left-- > 0) throw new Error('the host has failed')
        return writeHead.apply(response, parameters)
      }) as typeof writeHead
    })

  function hushWarnings() {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    onTestFinished(() => warned.mockRestore())
    return () => warned.mock.calls.map(([warning]) => String(warning))
  }

  test.each([
    ['in chunks', undefined, chunk('hello')],
    ['of known length', 5, 'hello'],
    ['that is long', 2_000_000, 'x'.repeat(100_000)],
  ] as const)('fails a download %s on both sides', async (_name, length, body) => {
    const port = await throwing('GET', 1)
    const sender = await openSender(port, length === undefined ? {} : { length })
    const receiver = await connectReceiver(port, sender)
    await sender.write(body)
    expect(parseAnswer(await rest(receiver))).toMatchObject({
      status: 500,
      body: expect.stringMatching(/the host has failed\. .* \[internal-error\]\n$/),
    })
    await expectSenderFailed(sender, 'internal-error', /download could not be started: the host has failed/)
  })

  test('resets a receiver that can not even be told, and the sender is', async () => {
    const warnings = hushWarnings()
    const port = await throwing('GET')
    const sender = await openSender(port)
    const receiver = await connectReceiver(port, sender)
    await sender.write(chunk('hello'))
    expect(await receiver.ending()).toBe('rst')
    expect(receiver.text()).toBe('')
    await expectSenderFailed(sender, 'internal-error', /the host has failed/)
    expect(warnings()).toEqual(['Error: the host has failed'])
  })

  test('resets a client that asks for an answer of the router', async () => {
    const warnings = hushWarnings()
    const error = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => error.mockRestore())
    const port = await throwing('POST')
    const client = await connectRaw(port)
    await client.write(requestHead('POST /reserve'))
    expect(await client.ending()).toBe('rst')
    expect(warnings()).toEqual(['Error: the host has failed'])
    expect((await exchange(port, requestHead('GET /health'))).status).toBe(200)
  })

  test.each([['early'], ['final']])('resets a sender that waits for its %s response', async (kind) => {
    const warnings = hushWarnings()
    const port = await throwing('PUT')
    const { body } = await exchange(port, requestHead('POST /reserve'))
    const [url = '', upload = ''] = body.split('\n').map((line) => line.replace('http://localhost', ''))
    const sender = await connectRaw(port)
    await sender.write(senderHead({ target: `PUT ${kind === 'early' ? '/x' : upload}`, length: 5 }))
    if (kind === 'final') {
      const receiver = await connectRaw(port)
      await receiver.write(requestHead(`GET ${url}`))
      await sender.write('hello')
      expect(parseAnswer(await rest(receiver))).toMatchObject({ status: 200, body: 'hello' })
    }
    expect(await sender.ending()).toBe('rst')
    expect(sender.text()).toBe('')
    expect(warnings()).toEqual(['Error: the host has failed'])
  })
})
