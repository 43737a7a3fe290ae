import { describe, expect, test } from 'vitest'
import { AnswerProgress } from '../../../server/nodes/answer-progress.js'

const HEAD = 'HTTP/1.1 200 OK\r\nDate: now\r\n'

/** What is known after each piece of an answer. */
function follow(text: string, size: number): AnswerProgress {
  const progress = new AnswerProgress()
  for (let at = 0; at < text.length; at += size) progress.passed(Buffer.from(text.slice(at, at + size)))
  return progress
}

describe.each([1, 2, 3, 7, 1000])('an answer in pieces of %i bytes', (size) => {
  test.each([
    ['an empty body', `${HEAD}Content-Length: 0\r\n\r\n`, true],
    ['a body of known length', `${HEAD}Content-Length: 5\r\n\r\nhello`, true],
    ['a body that lacks a byte', `${HEAD}content-length:5\r\n\r\nhell`, false],
    ['a head that is not complete', `${HEAD}Content-Length: 0\r\n\r`, false],
    ['a continue alone', 'HTTP/1.1 100 Continue\r\n\r\n', false],
    ['a continue, then the answer', `HTTP/1.1 100 Continue\r\n\r\n${HEAD}Content-Length: 1\r\n\r\nx`, true],
    ['a chunked body', `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, true],
    ['a chunked body without its end', `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`, false],
    [
      'a chunk whose bytes look like the last chunk',
      `${HEAD}Transfer-Encoding: chunked\r\n\r\nff\r\nhello\r\n0\r\n\r\n`,
      false,
    ],
    ['what is not chunked as it says', `${HEAD}Transfer-Encoding: chunked\r\n\r\nhello\r\n0\r\n\r\n`, false],
    [
      'a chunked body with a trailer',
      `${HEAD}Trailer: Ess-Length\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nEss-Length: 5\r\n\r\n`,
      true,
    ],
    [
      'a chunked body with a part of its trailer',
      `${HEAD}Trailer: Ess-Length\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nEss-Length: 5\r\n`,
      false,
    ],
    ['a body without a length', `${HEAD}\r\nhello`, false],
    ['what is no answer', 'hello', false],
  ])('%s', (_what, text, isComplete) => {
    const progress = follow(text, size)
    expect(progress.isComplete).toBe(isComplete)
    expect(progress.bytes).toBe(text.length)
  })

  test('says how much is left', () => {
    expect(follow(`${HEAD}Content-Length: 1000000\r\n\r\nhello`, size).left).toBe(999_995)
    expect(follow(`${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`, size).left).toBeUndefined()
    expect(follow('HTTP/1.1 200 OK\r\n', size).left).toBeUndefined()
  })
})
