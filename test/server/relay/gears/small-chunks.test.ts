import { Readable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { gatherSmallChunks } from '../../../../server/relay/gears/small-chunks.js'
import { DEADLINE_MS, within } from '../../../helpers/within.js'

const KIB = 1024

function gathering(): Readable {
  const body = new Readable({ read: () => undefined, highWaterMark: 16 * KIB })
  gatherSmallChunks(body)
  return body
}

/** Reads from now on; what has come so far. */
function reading(body: Readable): Buffer[] {
  const chunks: Buffer[] = []
  body.on('data', (chunk: Buffer) => chunks.push(chunk))
  return chunks
}

async function ended(body: Readable): Promise<void> {
  await within(DEADLINE_MS, 'the body ends', new Promise((resolve) => body.once('end', resolve)))
}

test('unread single bytes are held in a few pieces, however many turns they take to come', async () => {
  const body = gathering()
  for (let turn = 0; turn < 100; turn++) {
    for (let count = 0; count < 100; count++) body.push(Buffer.from([turn]))
    await nextTurn()
  }
  const chunks = reading(body)
  body.push(null)
  await ended(body)
  expect(Buffer.concat(chunks)).toEqual(
    Buffer.concat(Array.from({ length: 100 }, (_none, at) => Buffer.alloc(100, at))),
  )
  expect(chunks.length).toBeLessThan(8)
})

test('unread single bytes hold their sender up in the end', () => {
  const body = gathering()
  let taken = 1
  while (body.push(Buffer.from('x')) && taken < 100 * KIB) taken++
  expect(taken).toBe(16 * KIB)
})

test('what comes in one turn reaches its reader in that turn, as one', async () => {
  const body = gathering()
  const chunks = reading(body)
  await nextTurn()
  for (const byte of 'hello') body.push(Buffer.from(byte))
  await nextTurn()
  expect(chunks.map(String)).toEqual(['h', 'ello'])
})

test('a small chunk does not keep what was read with it', async () => {
  const body = gathering()
  const chunks = reading(body)
  await nextTurn()
  const read = Buffer.allocUnsafeSlow(64 * KIB)
  for (let at = 0; at < 10; at++) body.push(read.subarray(at, at + 1))
  await nextTurn()
  expect(chunks.map(({ buffer }) => buffer.byteLength)).toEqual([1, 9])
})

test('a large chunk is passed on as it is', async () => {
  const body = gathering()
  const chunks = reading(body)
  await nextTurn()
  const large = Buffer.allocUnsafeSlow(KIB)
  body.push(large)
  expect(chunks).toEqual([large])
  expect(chunks[0]?.buffer).toBe(large.buffer)
})

test('no byte is lost or moved, however a body is cut, and whenever its reader pauses', async () => {
  const step = fc.oneof(
    fc.constantFrom('turn' as const, 'pause' as const, 'resume' as const),
    fc.constantFrom(1, 2, KIB - 1, KIB, 4 * KIB, 4 * KIB + 1),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const body = gathering()
      const chunks = reading(body)
      const pushed: Buffer[] = []
      for (const now of steps) {
        if (now === 'turn') await nextTurn()
        else if (now === 'pause') body.pause()
        else if (now === 'resume') body.resume()
        else {
          const chunk = Buffer.alloc(now, pushed.length)
          pushed.push(chunk)
          body.push(chunk)
        }
      }
      body.push(null)
      body.resume()
      await ended(body)
      expect(Buffer.concat(chunks).equals(Buffer.concat(pushed))).toBe(true)
    }),
    { numRuns: 300 },
  )
})
