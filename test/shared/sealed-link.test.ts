import { expect, test } from 'vitest'
import { sealedLink, splitSealedLink } from '../../shared/index.js'

const LINK = 'https://send.example.org/AbCdEfGhIjKl'
const KEY = `AGE-SECRET-KEY-1${'Q'.repeat(58)}`

test('the key is added behind a #, and found there again', () => {
  const link = sealedLink(LINK, KEY)
  expect(link).toBe(`${LINK}#${KEY}`)
  expect(splitSealedLink(link)).toEqual({ link: LINK, identity: KEY })
  expect(new URL(link).hash).toBe(`#${KEY}`)
})

test.each([
  [`${LINK}#${KEY.toLowerCase()}`, KEY],
  [`${LINK}#AGE-SECRET-KEY-PQ-1${'Q'.repeat(58)}`, `AGE-SECRET-KEY-PQ-1${'Q'.repeat(58)}`],
  [LINK, undefined],
  [`${LINK}#`, undefined],
  [`${LINK}#top`, undefined],
  [`${LINK}#${KEY.slice(0, -1)}`, undefined],
  [`${LINK}#${KEY}#${KEY}`, undefined],
])('of %s the key is %s', (link, identity) => {
  expect(splitSealedLink(link)).toEqual({ link: LINK, identity })
})

test('another fragment gives way to the key', () => {
  expect(sealedLink(`${LINK}#top`, KEY)).toBe(`${LINK}#${KEY}`)
})
