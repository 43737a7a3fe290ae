import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { streamsPump } from '../../../server/gears/streams.js'
import { until } from '../../helpers/within.js'

test('a sender that was held up goes on when the last byte is taken, whether or not Node tells of a drain', async () => {
  const sender = new PassThrough({ highWaterMark: 4 * 1024 * 1024 })
  const taken: (() => void)[] = []
  let queued = 0
  /** A receiver that never says 'drain': so does Node when only the last few bytes were not taken at once. */
  const receiver = {
    req: { socket: new Socket(), httpVersionMajor: 1 } as IncomingMessage,
    get writableLength() {
      return queued
    },
    cork: () => undefined,
    uncork: () => undefined,
    write: (chunk: Buffer, callback: () => void) => {
      queued += chunk.length
      taken.push(callback)
      return true
    },
  }
  const pump = streamsPump(
    { stream: sender, isWhole: () => true },
    {
      // As much of a response as the gear uses.
      receiverResponse: receiver as unknown as ServerResponse,
      stallTimeoutMs: 0,
      admit: () => true,
      senderEnded: () => undefined,
      fail: () => undefined,
    },
  )
  pump.start()
  for (let count = 0; count < 32; count++) sender.write(Buffer.alloc(64 * 1024))
  await until('the sender is held up', () => sender.isPaused())
  expect(pump.received()).toBeLessThan(32 * 64 * 1024)
  function takeAll(): void {
    queued = 0
    for (const callback of taken.splice(0)) callback()
  }
  takeAll()
  expect(sender.isPaused()).toBe(false)
  await until('the rest has come', () => {
    takeAll()
    return pump.received() === 32 * 64 * 1024
  })
  void pump.stop()
})
