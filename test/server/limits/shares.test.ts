import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Shares } from '../../../server/limits/shares.js'

const refusal = (most: number) => `it has ${most}`

test('a client takes as many as it may have, and another one as many again', () => {
  const shares = new Shares(2)
  for (const client of ['a', 'b', 'a', 'b']) shares.take(() => client, refusal)
  expect(shares.taken).toBe(4)
  for (const client of ['a', 'b'])
    expect(() => shares.take(() => client, refusal)).toThrow(
      expect.objectContaining({ code: 'over-share', status: 429, retryAfter: 30, message: 'it has 2' }),
    )
  expect(shares.taken).toBe(4)
})

test('what is given back twice counts once', () => {
  const shares = new Shares(2)
  const giveBack = shares.take(() => 'a', refusal)
  shares.take(() => 'a', refusal)
  giveBack()
  giveBack()
  expect(shares.taken).toBe(1)
  shares.take(() => 'a', refusal)
  expect(() => shares.take(() => 'a', refusal)).toThrow()
})

test('without a limit no client is refused, and nothing is counted', () => {
  const shares = new Shares(0)
  const all = Array.from({ length: 1000 }, () => shares.take(() => 'a', refusal))
  expect(shares.taken).toBe(0)
  for (const giveBack of all) giveBack()
  expect(shares.taken).toBe(0)
})

test('in any order of coming and going, no client has more than its share, and in the end none has any', () => {
  const step = fc.record({ client: fc.constantFrom('a', 'b', 'c'), takes: fc.boolean(), at: fc.nat(9) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 5 }), (steps, most) => {
      const shares = new Shares(most)
      const held: { client: string; giveBack: () => void }[] = []
      const countOf = (client: string) => held.filter((one) => one.client === client).length
      for (const { client, takes, at } of steps) {
        const isFull = countOf(client) === most
        if (!takes) held.splice(at % (held.length || 1), 1)[0]?.giveBack()
        else if (isFull) expect(() => shares.take(() => client, refusal)).toThrow()
        else held.push({ client, giveBack: shares.take(() => client, refusal) })
        expect(shares.taken).toBe(held.length)
      }
      for (const { giveBack } of held) giveBack()
      expect(shares.taken).toBe(0)
    }),
  )
})

test('without a limit no client is asked for a name', () => {
  const whose = () => {
    throw new Error('asked')
  }
  expect(() => new Shares(0).take(whose, refusal)()).not.toThrow()
  expect(() => new Shares(1).take(whose, refusal)).toThrow('asked')
})
