import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TwoBlocks } from '../../../client/node/two-blocks.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

/** Puts `bytes` where the next ones go. */
function put(blocks: TwoBlocks, ...bytes: readonly number[]): void {
  blocks.room.set(bytes)
  blocks.fill(bytes.length)
}

test('every byte comes out once, in its order, at any pace of either side', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 40 }),
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 10 }),
      fc.boolean(),
      async (blockBytes, fills, pauses, isEager) => {
        let hasRoom = true
        const blocks = new TwoBlocks(blockBytes, () => {
          hasRoom = true
        })
        const sent: number[] = []
        const got: number[] = []
        const emptying = (async () => {
          for (let at = 0; ; at++) {
            const block = await blocks.next(isEager)
            if (block === undefined) return
            // Looked at late: until the next one is asked for, nothing may be written into it.
            for (let turns = pauses[at % pauses.length] ?? 0; turns > 0; turns--) await turn()
            got.push(...block)
          }
        })()
        for (const size of fills) {
          while (!hasRoom) await turn()
          const { room } = blocks
          const bytes = Array.from(
            { length: Math.min(size, room.length) },
            (_, at) => (sent.length + at) % 256,
          )
          room.set(bytes)
          sent.push(...bytes)
          hasRoom = blocks.fill(bytes.length)
          if (size % 2 === 0) await turn()
        }
        blocks.end()
        await within(DEADLINE_MS, 'everything comes out', emptying)
        expect(got).toEqual(sent)
      },
    ),
    { numRuns: 200 },
  )
})

test('a slow reader gets whole blocks, and the rest at the end', async () => {
  const blocks = new TwoBlocks(4, () => {})
  put(blocks, 1, 2, 3)
  const first = blocks.next(false)
  put(blocks, 4)
  expect([...((await first) ?? [])]).toEqual([1, 2, 3, 4])
  put(blocks, 5)
  blocks.end()
  expect([...((await blocks.next(false)) ?? [])]).toEqual([5])
  expect(await blocks.next(false)).toBeUndefined()
})

test('a failure comes before what is still in there', async () => {
  const blocks = new TwoBlocks(4, () => {})
  put(blocks, 1, 2, 3, 4)
  blocks.fail(new Error('cut'))
  await expect(blocks.next(true)).rejects.toThrow('cut')
})

test('after a failure, everything that came before it can still be had', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 }),
      fc.integer({ min: 0, max: 6 }),
      async (blockBytes, fills, taken) => {
        const blocks = new TwoBlocks(blockBytes, () => {})
        const sent: number[] = []
        const got: number[] = []
        let hasRoom = true
        for (const [at, bytes] of fills.entries()) {
          for (let left = Math.min(bytes, blocks.room.length); hasRoom && left > 0; left--) {
            blocks.room[0] = sent.length % 256
            sent.push(sent.length % 256)
            hasRoom = blocks.fill(1)
          }
          // A reader that comes now and then; it waits for nothing.
          if (at >= taken || sent.length === got.length) continue
          const block = await within(DEADLINE_MS, 'the next bytes', blocks.next(true))
          got.push(...(block ?? []))
          if (!hasRoom) break
        }
        blocks.fail(new Error('cut'))
        for (const block of blocks.left()) got.push(...block)
        expect(got).toEqual(sent)
      },
    ),
  )
})
