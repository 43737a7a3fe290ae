import { expect, test } from 'vitest'
import { eventsOf, openReceiver, openSender, serve, untilEnded } from './serve.js'

test('a sender whose whole body is here is told of its receiver and the verdict, and of nothing between', async () => {
  const served = await serve()
  const sender = await openSender(served.port, { length: 3 })
  await sender.write('abc')
  const receiver = await openReceiver(served.port, `/${sender.id}`)
  await receiver.until(/\r\n\r\nabc$/)
  receiver.end()
  await sender.until(/"event":"delivered"/)
  expect(eventsOf(sender).map(({ event }) => event)).toEqual(['opened', 'connected', 'delivered'])
})

test('it is told all the same while the receiver leaves open whether it has everything', async () => {
  const served = await serve()
  const sender = await openSender(served.port, { length: 3 })
  await sender.write('abc')
  const receiver = await openReceiver(served.port, `/${sender.id}`)
  await receiver.until(/\r\n\r\nabc$/)
  await sender.until(/"event":"connected"/)
  await sender.until(/"event":"progress","bytes":3/)
  expect(served.ends).toEqual([])
  receiver.reset()
  expect((await untilEnded(served))[0]).toMatchObject({ outcome: 'receiver-lost' })
  expect(await sender.ending()).toBe('fin')
  expect(eventsOf(sender).at(-1)).toMatchObject({ event: 'failed' })
})
