import { expect, test } from 'vitest'
import { LinkCheck } from '../../../../client/bundle/pack/link-check.js'

const check = new LinkCheck(new Set(['a', 'b']), new Set(['a/link', 'a/sub/up']))

test.each([
  ['a/x', 'y'],
  ['a/x', './y'],
  ['a/x', 'sub/./y//z'],
  ['a/x', '.'],
  ['a/sub/x', '..'],
  ['a/sub/x', '../y'],
  ['a/sub/deep/x', '../../y'],
  ['a/x', 'sub/../y'],
  ['a/x', 'link/y'],
  ['a/x', '../b'],
  ['a/sub/x', '../../b/y'],
  ['a/x', '..y'],
  ['a/x', '...'],
])('%s -> %s stays in what is sent', (path, target) => {
  expect(check.leadsOut(path, target)).toBe(false)
})

test.each([
  ['an absolute path', 'a/x', '/etc/passwd'],
  ['the top', 'a/x', '..'],
  ['the top, from deeper', 'a/sub/x', '../..'],
  ['above the top', 'a/x', '../../b'],
  ['what was not sent', 'a/x', '../c'],
  ['its own folder by its name, which may get another one', 'a/x', '../a/y'],
  ['behind another link', 'a/x', 'link/../y'],
  ['behind another link, further down', 'a/x', 'sub/up/../../y'],
  ['down, and out again', 'a/x', 'sub/../../c'],
])('one to %s leads out: %s', (_what, path, target) => {
  expect(check.leadsOut(path, target)).toBe(true)
})
