import { expect, test } from 'vitest'
import { Occurrence } from '../../../server/node/occurrence.js'
import { DEADLINE_MS, within } from '../../helpers/within.js'

test('who asks before it happens, and who asks afterwards, are both told', async () => {
  const occurrence = new Occurrence()
  const before = occurrence.promise
  expect(occurrence.promise).toBe(before)
  occurrence.happen()
  occurrence.happen()
  await within(DEADLINE_MS, 'those who waited are told', before)
  await within(DEADLINE_MS, 'those who come later are told', occurrence.promise)
})

test('what happened before the first question has happened', async () => {
  const occurrence = new Occurrence()
  occurrence.happen()
  await within(DEADLINE_MS, 'who asks is told', occurrence.promise)
})

test('a wait for it may end before', async () => {
  const once = new Occurrence()
  const gone = new AbortController()
  let over = 0
  const first = once.orAborted(gone.signal).then(() => over++)
  const second = once.orAborted(new AbortController().signal).then(() => over++)
  gone.abort()
  await first
  expect(over).toBe(1)
  once.happen()
  await second
  await once.orAborted(new AbortController().signal)
  await new Occurrence().orAborted(gone.signal)
  expect(over).toBe(2)
})
