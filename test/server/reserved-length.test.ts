import { describe, expect, test } from 'vitest'
import { exchange, parseAnswer, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { chunk, LAST_CHUNK, openReceiver, serve, untilEnded } from './serve.js'

/** What the reservation says that the file has. */
const BYTES = 30_000

/** A reservation that says so, and a receiver that waits for it. */
async function start(relay: 'streams' | 'sockets' | 'splice') {
  const served = await serve({ relay, reservations: true })
  const answer = await exchange(
    served.port,
    requestHead('POST /reserve', {
      'Upload-Complete': '?0',
      'Upload-Length': String(BYTES),
      Accept: 'application/json',
    }),
  )
  // The test of reservations looks at its form.
  const { url, upload } = JSON.parse(answer.body) as { url: string; upload: string }
  const receiver = await openReceiver(served.port, new URL(url).pathname)
  return { served, upload: new URL(upload).pathname, receiver }
}

describe.each(['streams', 'sockets', 'splice'] as const)('by %s', (relay) => {
  test.each([
    [BYTES, 'delivered'],
    [BYTES - 1, 'bad-request'],
    [BYTES + 1, 'bad-request'],
  ])('a PUT of %i bytes in chunks ends as %s', async (length, outcome) => {
    const { served, upload, receiver } = await start(relay)
    const body = Buffer.alloc(length, 'inside ').toString('latin1')
    const sender = await connectRaw(served.port)
    const fields = { 'Transfer-Encoding': 'chunked', Expect: '100-continue' }
    await sender.write(requestHead(`PUT ${upload}`, fields))
    await sender.until(/^HTTP\/1\.1 100 /)
    await sender.write(chunk(body) + LAST_CHUNK)
    const receivedBy = await receiver.ending()
    receiver.end()
    const [end] = await untilEnded(served)
    if (outcome === 'delivered') {
      expect(end).toMatchObject({ outcome, confirmed: true, bytes: BYTES })
      expect(receivedBy).toBe('fin')
      const got = parseAnswer(receiver.text())
      expect(got.headers['content-length']).toBe(String(BYTES))
      expect(got.body === body).toBe(true)
      await sender.until(/^HTTP\/1\.1 200 [\s\S]*delivered/m)
    } else {
      expect(end).toMatchObject({ outcome, confirmed: false })
      // A reset together with bytes is an end for Node, and those bytes are too few. With too many at once, none is sent.
      const { status, body } = parseAnswer(receiver.text())
      expect(status === 502 || body.length < BYTES).toBe(true)
      await sender.until(/^HTTP\/1\.1 400 [\s\S]*30,000 bytes/m)
    }
  })
})

test('a PUT whose length is another one is refused, and the link waits on', async () => {
  const { served, upload, receiver } = await start('splice')
  const put = (body: string) =>
    exchange(served.port, requestHead(`PUT ${upload}`, { 'Content-Length': String(body.length) }) + body)
  expect(await put('hello')).toMatchObject({ status: 400, body: expect.stringMatching(/30,000 bytes/) })
  const body = 'x'.repeat(BYTES)
  const [sent, ending] = await Promise.all([
    put(body),
    receiver.ending().then((how) => {
      receiver.end()
      return how
    }),
  ])
  expect([sent.status, ending]).toEqual([200, 'fin'])
  expect(parseAnswer(receiver.text()).body === body).toBe(true)
})
