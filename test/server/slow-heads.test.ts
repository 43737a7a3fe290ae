import { expect, test } from 'vitest'
import { parseAnswer } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { serve } from './serve.js'

/** What is documented, and a second for a machine that has other things to do. */
const DOCUMENTED_MS = 31_000

/** What is sent of a head, at once; the last one goes on with a field twice a second. */
const HEADS = [
  '',
  'GET /he',
  'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Le',
  'GET /health HTTP/1.1\r\nHost: localhost\r\n',
]

test('whoever has not sent a head within 30 s is told 408, and closed', { timeout: 60_000 }, async () => {
  const { port } = await serve()
  const peers = await Promise.all(HEADS.map(() => connectRaw(port)))
  for (const [index, peer] of peers.entries()) if (HEADS[index] !== '') await peer.write(HEADS[index] ?? '')
  const dripping = peers.at(-1)
  const drip = setInterval(() => void dripping?.write('X: y\r\n').catch(() => undefined), 500)
  try {
    await Promise.all(
      peers.map(async (peer) => {
        await peer.until(/\r\n\r\n.*\n$/s, DOCUMENTED_MS)
        expect(parseAnswer(peer.text())).toMatchObject({
          status: 408,
          body: expect.stringMatching(/^request-timeout: /),
        })
        expect(await peer.ending()).toBe('fin')
      }),
    )
  } finally {
    clearInterval(drip)
  }
})
