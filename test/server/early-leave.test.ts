import { describe, expect, test } from 'vitest'
import { exchange, requestHead } from '../helpers/http-exchange.js'
import { connectRaw } from '../helpers/raw-peer.js'
import { eventsOf, IS_ALONE, LAST_CHUNK, openSender, RESETS_PASS, serve, untilEnded } from './serve.js'

const SIZES = [0, 1, 1000, 16_384]

describe.each(SIZES)('a body of %i bytes that is here already', (size) => {
  test.each([
    { framing: 'Content-Length', length: size },
    { framing: 'chunked', length: undefined },
  ])('is not delivered to a receiver that leaves with its request ($framing)', async ({ length }) => {
    // More than once, because it is a race between the receiver's FIN and its answer.
    for (let round = 0; round < 5; round++) {
      const served = await serve()
      const sender = await openSender(served.port, length === undefined ? {} : { length })
      const body = 'x'.repeat(size)
      const framed = size === 0 ? LAST_CHUNK : `${size.toString(16)}\r\n${body}\r\n${LAST_CHUNK}`
      await sender.write(length === undefined ? framed : body)
      const receiver = await connectRaw(served.port)
      await receiver.write(requestHead(`GET /${sender.id}`))
      receiver.end()
      const [end] = await untilEnded(served)
      await receiver.ending()
      const hasAll = receiver.text().endsWith(`\r\n\r\n${length === undefined ? framed : body}`)
      // What the sender is told is what the receiver has.
      expect(end?.outcome).toBe(hasAll && receiver.text() !== '' ? 'delivered' : 'receiver-lost')
      expect(await sender.ending()).toBeDefined()
      expect(eventsOf(sender).at(-1)?.event).toBe(end?.outcome === 'delivered' ? 'delivered' : 'failed')
    }
  })

  // haproxy may have the whole answer by then, and takes it in the receiver's name.
  test.runIf(RESETS_PASS)('is not delivered to a receiver that is reset with its request', async () => {
    const served = await serve()
    const sender = await openSender(served.port, { length: size })
    await sender.write('x'.repeat(size))
    const receiver = await connectRaw(served.port, { paused: true })
    await receiver.write(requestHead(`GET /${sender.id}`))
    receiver.reset()
    if (!IS_ALONE) {
      // A request whose connection is gone before its node was found is dropped: the file stays for another receiver.
      const { status } = await exchange(served.port, requestHead(`GET /${sender.id}`))
      if (status === 200) return
      expect([409, 410]).toContain(status)
    }
    const [end] = await untilEnded(served)
    expect(end).toMatchObject({ outcome: 'receiver-lost', confirmed: false })
  })
})

test('garbage after a whole body, in many pieces, adds no listeners', async () => {
  const served = await serve()
  const sender = await openSender(served.port, { length: 3 })
  await sender.write('abc')
  for (let piece = 0; piece < 30; piece++) {
    await sender.write('not http\r\n')
    // A turn of the loop on the other side, so that each is read by itself.
    await (await connectRaw(served.port)).write('')
  }
  const receiver = await connectRaw(served.port)
  await receiver.write(requestHead(`GET /${sender.id}`))
  await receiver.until(/\r\n\r\nabc/)
  receiver.end()
  expect((await untilEnded(served))[0]).toMatchObject({ outcome: 'delivered', confirmed: true })
})
