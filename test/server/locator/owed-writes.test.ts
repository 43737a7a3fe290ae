import { expect, test } from 'vitest'
import { OwedWrites } from '../../../server/locator/owed-writes.js'
import { withResolvers } from '../../../server/node/with-resolvers.js'
import { until } from '../../helpers/within.js'

/** Writes that are answered when a test says so. */
function writes() {
  const begun: { readonly line: string; readonly answer: () => void; readonly refuse: () => void }[] = []
  const state = { isReady: true }
  const owed = new OwedWrites<string>({
    isReady: () => state.isReady,
    write: (key, write) => {
      const { promise, resolve, reject } = withResolvers<void>()
      begun.push({ line: `${key} ${write}`, answer: resolve, refuse: () => reject(new Error('refused')) })
      return promise
    },
    failed: (_key, write) => write,
  })
  const owe = (key: string, write: string) => {
    owed.owe(key, write)
    owed.make()
  }
  return { owed, owe, state, begun, lines: () => begun.map(({ line }) => line) }
}

test('of one key, a write begins when the one before it was answered; then it is the latest', async () => {
  const { owed, owe, begun, lines } = writes()
  owe('a', '1')
  owe('a', '2')
  owe('b', '1')
  owe('a', '3')
  expect(lines()).toEqual(['a 1', 'b 1'])
  expect(owed.count).toBe(3)
  begun[0]?.answer()
  await until('the next write begins', () => begun.length === 3)
  expect(lines().at(-1)).toBe('a 3')
  for (const { answer } of begun) answer()
  await until('nothing is owed', () => owed.count === 0)
})

test('what was refused is made again when the store is well, unless something newer is owed', async () => {
  const { owed, owe, state, begun, lines } = writes()
  owe('a', '1')
  owe('b', '1')
  owe('b', '2')
  state.isReady = false
  for (const { refuse } of begun) refuse()
  await until('both are owed again', () => owed.get('a') === '1' && owed.get('b') === '2')
  expect(owed.count).toBe(2)
  state.isReady = true
  owed.make()
  expect(lines()).toEqual(['a 1', 'b 1', 'b 2', 'a 1'])
  for (const { answer } of begun) answer()
  await until('nothing is owed', () => owed.count === 0)
})
