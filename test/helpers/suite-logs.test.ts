import { expect, test } from 'vitest'
import { findSecrets } from './suite-logs.js'

test.each([
  ['alone', 'Ab3_-fGhIj4k'],
  ['in a path', 'GET /Ab3_-fGhIj4k/a.txt HTTP/1.1'],
  ['inside a longer word', '"x-Ab3_-fGhIj4k-y"'],
  ['in a header', 'authorization=Bearer s3cret+token/of=somebody'],
])('a secret %s is found in a log', (_where, line) => {
  const secrets = new Set(['Ab3_-fGhIj4k', 's3cret+token/of=somebody'])
  expect(findSecrets(`a line\n${line}\nanother`, secrets)).toEqual([expect.stringContaining(` in: ${line}`)])
})

test('what only begins like a secret is none', () => {
  expect(findSecrets('Ab3_-fGhIj4 and Ab3_… and ab3_-fghij4k', new Set(['Ab3_-fGhIj4k']))).toEqual([])
})
