import { expect, test } from 'vitest'
import { LinkCheck } from '../../../client/bundle/link-check.js'

const links = ['a/link', 'a/sub/up', 'a/\u00dcp'].map((path) => ({ path: bytes(path), target: '.' }))
const check = new LinkCheck(['a', 'b', '.c', 'l'], links)

function bytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}

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
  ['l', 'a'],
  ['l', './b/y'],
])('%s -> %s stays in what is sent', (path, target) => {
  expect(check.troubleWith({ path, target: bytes(target) })).toBeUndefined()
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
  ['behind a link whose name is the same for some file systems', 'a/x', 'u\u0308P/../y'],
  ['down, and out again', 'a/x', 'sub/../../c'],
  ['what gets another name when it is received', 'a/x', '../.c/y'],
  ['itself, at the top', 'l', 'l'],
  ['what was not sent, at the top', 'l', 'c'],
  ['the top, at the top', 'l', '.'],
])('one to %s leads out: %s', (_what, path, target) => {
  expect(check.troubleWith({ path, target: bytes(target) })).toMatch(/^is a symbolic link /)
})
