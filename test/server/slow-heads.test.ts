import { expect, test } from 'vitest'
import { parseAnswer } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { setTimings } from '../helpers/timings.js'
import { serve } from './serve.js'

/** What is sent of a head, at once; the last one goes on with a field twenty times a second. */
const HEADS = [
  '',
  'GET /he',
  'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Le',
  'GET /health HTTP/1.1\r\nHost: localhost\r\n',
]

test('a client that has not sent a head in time is told 408, and closed', async () => {
  setTimings({ headMs: 400, headCheckMs: 100 })
  const { port } = await serve()
  const peers = await Promise.all(HEADS.map(() => connectRaw(port)))
  for (const [index, peer] of peers.entries()) if (HEADS[index] !== '') await peer.write(HEADS[index] ?? '')
  const dripping = peers.at(-1)
  const drip = setInterval(() => void dripping?.write('X: y\r\n').catch(() => undefined), 50)
  try {
    await Promise.all(
      peers.map(async (peer) => {
        await peer.until(/\r\n\r\n.*\n$/s)
        expect(parseAnswer(peer.text())).toMatchObject({
          status: 408,
          body: expect.stringMatching(/ \[request-timeout\]\n$/),
        })
        expect(await peer.ending()).toBe('fin')
      }),
    )
  } finally {
    clearInterval(drip)
  }
})
