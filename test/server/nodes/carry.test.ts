import { describe, expect, test } from 'vitest'
import { certificate } from '../../helpers/certificate.js'
import { exchange, parseAnswer, requestHead } from '../../helpers/http-exchange.js'
import { connectRaw, speakTls } from '../../helpers/raw-peer.js'
import { until } from '../../helpers/within.js'
import { eventsOf, openReceiver, openSender, type Served, serveNodes, untilEnded } from '../serve.js'

/** Two nodes, of which the first one gets the senders, and the second one the receivers. */
async function two(
  speech: 'plain' | 'http/1.1' | 'h2',
  options: Parameters<typeof serveNodes>[1] = {},
): Promise<readonly [Served, Served]> {
  const pair = speech === 'plain' ? undefined : await certificate()
  const tls = pair && { certFile: pair.path, keyFile: pair.keyPath }
  const [a, b] = await serveNodes(2, options, tls && { tls })
  if (a === undefined || b === undefined) throw new Error('Expected two nodes')
  if (speech !== 'plain') for (const { port } of [a, b]) speakTls(port, speech)
  return [a, b]
}

const SPEECHES = ['plain', 'http/1.1', 'h2'] as const

describe.each(SPEECHES)('at the wrong node (%s)', (speech) => {
  test.each([0, 1, 20_000, 3_000_000])(
    'a receiver gets all %i bytes, and its sender is told so',
    async (length) => {
      const [home, other] = await two(speech)
      const sender = await openSender(home.port, { length })
      const receiver = await openReceiver(other.port, `/${sender.id}`)
      await sender.until(/"connected"/)
      const body = Buffer.alloc(length, 'x')
      await sender.write(body)
      expect(await receiver.ending()).toBe('fin')
      receiver.end()
      const answer = parseAnswer(receiver.text())
      expect(answer.status).toBe(200)
      expect(answer.body.length).toBe(length)
      const [end] = await untilEnded(home)
      expect(end).toMatchObject({ outcome: 'delivered', confirmed: true, bytes: length })
      await sender.until(/"event":"(?:delivered|failed)"/)
      expect(eventsOf(sender).at(-1)).toMatchObject({ event: 'delivered', confirmed: true })
      expect(other.opened).toEqual([])
    },
  )

  test('a reset receiver is lost', async () => {
    const [home, other] = await two(speech)
    const sender = await openSender(home.port, { length: 1_000_000 })
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.write(Buffer.alloc(1000))
    await receiver.until(/\r\n\r\n/)
    receiver.reset()
    const [end] = await untilEnded(home)
    expect(end).toMatchObject({ outcome: 'receiver-lost' })
  })

  test('a lost sender resets the receiver', async () => {
    const [home, other] = await two(speech)
    const sender = await openSender(home.port, { length: 1_000_000 })
    const receiver = await openReceiver(other.port, `/${sender.id}`)
    await sender.write(Buffer.alloc(1000))
    await receiver.until(/\r\n\r\n/)
    sender.reset()
    const [end] = await untilEnded(home)
    expect(end).toMatchObject({ outcome: 'sender-lost' })
    expect(await receiver.ending()).toBe('rst')
  })

  test('an early receiver is served as soon as its sender comes to another node', async () => {
    const [home, other] = await two(speech, { reservations: true })
    const reservation = await exchange(
      home.port,
      requestHead('POST /reserve', { Accept: 'application/json' }),
    )
    const { url, upload } = JSON.parse(reservation.body) as { url: string; upload: string }
    const receiver = await openReceiver(other.port, new URL(url).pathname)
    await until('it waits at home', () => home.broker.counts().held > 1)
    const sender = await connectRaw(other.port)
    await sender.write(`${requestHead(`PUT ${new URL(upload).pathname}`, { 'Content-Length': '5' })}hello`)
    expect(await receiver.ending()).toBe('fin')
    receiver.end()
    expect(parseAnswer(receiver.text())).toMatchObject({ status: 200, body: 'hello' })
    await sender.until(/delivered/)
    expect((await untilEnded(home))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
  })

  test('an unknown id is a 404, one that has ended a 410', async () => {
    const [home, other] = await two(speech)
    expect((await exchange(other.port, requestHead(`GET /${'x'.repeat(22)}`))).status).toBe(404)
    const sender = await openSender(home.port, { length: 5 })
    sender.reset()
    await untilEnded(home)
    expect((await exchange(other.port, requestHead(`GET /${sender.id}`))).status).toBe(410)
    expect(other.refused).toContain('gone')
  })
})
