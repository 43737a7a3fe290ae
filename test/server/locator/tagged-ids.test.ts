import { expect, test } from 'vitest'
import { taggedIds, tagIn, tagOf } from '../../../server/locator/tagged-ids.js'
import { isSocketId } from '../../../shared/index.js'

test('an id of a cluster is a random id with the tag of its node after it', () => {
  const { pattern, generate } = taggedIds('node-1')
  const ids = Array.from({ length: 1000 }, generate)
  expect(new Set(ids.map((id) => id.slice(0, 12))).size).toBe(1000)
  for (const id of ids) {
    expect(id).toMatch(pattern)
    expect(isSocketId(id)).toBe(true)
    expect(id).toHaveLength(15)
    expect(tagIn(id)).toBe(tagOf('node-1'))
  }
})

test('the pattern takes the ids of all nodes, and those from before there was a cluster', () => {
  const { pattern } = taggedIds('node-1')
  expect(taggedIds('node-2').generate()).toMatch(pattern)
  expect('AbCdEfGhIjKl').toMatch(pattern)
  expect(tagIn('AbCdEfGhIjKl')).toBe(undefined)
})

test('tags are letters and digits, the same after a restart, and spread over all there are', () => {
  const names = Array.from({ length: 10_000 }, (_, count) => `node-${count}`)
  const tags = names.map(tagOf)
  expect(names.map(tagOf)).toEqual(tags)
  for (const tag of tags) expect(tag).toMatch(/^[A-Za-z0-9]{3}$/)
  // Of 10,000 out of 238,328, some 207 fall on one that is taken.
  expect(new Set(tags).size).toBeGreaterThan(9_700)
})
