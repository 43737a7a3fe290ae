import type { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { streamsPump } from '../../../../server/relay/gears/streams.js'
import { until } from '../../../helpers/within.js'

const KIB = 1024
const PIECE = 64 * KIB

/** A pump that has begun, between a sender of its own and a receiver that takes what it is told to. */
function pumping() {
  const sender = new PassThrough({ highWaterMark: 4 * KIB * KIB })
  const corked: Buffer[] = []
  const written: Buffer[] = []
  const taken: (() => void)[] = []
  let isCorked = false
  let queued = 0
  /** It never says 'drain': nor does Node where only the last few bytes were not taken at once. */
  const receiver = {
    req: { socket: new Socket(), httpVersionMajor: 1 } as IncomingMessage,
    get writableLength() {
      return queued
    },
    cork: () => {
      isCorked = true
    },
    uncork: () => {
      isCorked = false
      written.push(...corked.splice(0))
    },
    write: (chunk: Buffer, callback: () => void) => {
      queued += chunk.length
      taken.push(callback)
      if (isCorked) corked.push(chunk)
      else written.push(chunk)
      return true
    },
  }
  const pump = streamsPump(
    { stream: sender, isWhole: () => true },
    {
      // As much of a response as the gear uses.
      receiverResponse: receiver as unknown as ServerResponse,
      stallTimeoutMs: 0,
      length: undefined,
      isReframed: false,
      admit: () => true,
      senderEnded: () => undefined,
      fail: () => undefined,
    },
  )
  onTestFinished(() => void pump.stop())
  pump.start()
  return {
    pump,
    sender,
    written,
    takeAll: () => {
      queued = 0
      for (const callback of taken.splice(0)) callback()
    },
  }
}

test('a sender that was held up goes on when the last byte is taken, whether or not Node tells of a drain', async () => {
  const { pump, sender, takeAll } = pumping()
  for (let count = 0; count < 32; count++) sender.write(Buffer.alloc(PIECE))
  await until('the sender is held up', () => sender.isPaused())
  expect(pump.received()).toBeLessThan(32 * PIECE)
  await nextTurn()
  expect(sender.isPaused()).toBe(true)
  takeAll()
  expect(sender.isPaused()).toBe(false)
  await until('the rest has come', () => {
    takeAll()
    return pump.received() === 32 * PIECE
  })
})

test('a receiver that takes all at once gets 1 MiB of one transfer a turn, and the next in the next', async () => {
  const { pump, sender, takeAll } = pumping()
  // Each read of the sender's connection is followed by the receiver's kernel, which has room.
  sender.on('data', takeAll)
  for (let count = 0; count < 40; count++) sender.write(Buffer.alloc(PIECE))
  await until('its turn is over', () => sender.isPaused())
  expect(pump.received()).toBe(KIB * KIB)
  await until('the rest has come', () => pump.received() === 40 * PIECE)
})

test('small pieces wait for the end of the turn, or for a large one', async () => {
  const { sender, written } = pumping()
  const come = (...sizes: readonly number[]) => {
    for (const size of sizes) sender.emit('data', Buffer.alloc(size))
  }
  come(1, 2)
  expect(written).toHaveLength(0)
  come(PIECE)
  expect(written.map(({ length }) => length)).toEqual([1, 2, PIECE])
  come(PIECE, 3)
  expect(written).toHaveLength(4)
  await nextTurn()
  expect(written).toHaveLength(5)
})
