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
