import { describe, expect, test } from 'vitest'
import {
  codeOfProblem,
  EssError,
  EXIT_STATUS,
  fromProblem,
  isProblemCode,
  PROBLEMS,
  type ProblemCode,
  problemLine,
  problemSentences,
  problemText,
  toFailedProblem,
  toProblem,
} from '../../shared/index.js'

// Object.keys gives string[]; these are all of them.
const CODES = Object.keys(PROBLEMS) as ProblemCode[]

/** As the protocol's chapter 5 says; scripts rely on it. */
const EXITS: Readonly<Record<ProblemCode, number>> = {
  'internal-error': 1,
  'body-already-read': 6,
  usage: 2,
  'bad-request': 3,
  'no-file-in-form': 3,
  unauthorized: 3,
  'cross-site': 3,
  'bad-referer': 3,
  prefetch: 3,
  'already-open': 3,
  rewound: 3,
  'mismatching-upload-offset': 3,
  'precondition-failed': 3,
  'range-not-satisfiable': 3,
  'reservation-required': 3,
  'length-required': 3,
  'length-unknown': 3,
  'method-not-allowed': 3,
  'request-timeout': 3,
  busy: 3,
  'too-large': 3,
  'unsupported-media-type': 3,
  'expectation-failed': 3,
  'headers-too-large': 3,
  'whole-only': 3,
  'http-version-not-supported': 3,
  'not-found': 4,
  gone: 4,
  cancelled: 4,
  expired: 4,
  'sender-lost': 5,
  'receiver-lost': 5,
  stalled: 5,
  'connection-lost': 5,
  incomplete: 5,
  'node-away': 6,
  moved: 6,
  'too-many-sockets': 6,
  'too-many-requests': 6,
  'over-share': 6,
  'shutting-down': 6,
  'server-unreachable': 6,
  'proxy-failed': 6,
  'not-ess': 6,
  unconfirmed: 7,
  'file-exists': 8,
  'file-unreadable': 8,
  'file-unwritable': 8,
  'file-changed': 8,
  'key-required': 2,
  'wrong-key': 9,
  'not-authentic': 9,
  'unsafe-bundle': 9,
  interrupted: 130,
}

describe.each(CODES)('%s', (code) => {
  test('survives the wire, with its words', () => {
    const error = new EssError(code, 'Expected this, got that')
    const wire: unknown = JSON.parse(JSON.stringify(toProblem(error)))
    expect(wire).toEqual({
      type: `urn:ess:problem:${code}`,
      title: PROBLEMS[code].title,
      detail: 'Expected this, got that',
      status: PROBLEMS[code].status ?? 500,
    })
    expect(fromProblem(wire, 'not-ess')).toMatchObject({ code, message: 'Expected this, got that' })
  })

  test('survives a failed event, which has no status', () => {
    const problem = toFailedProblem(new EssError(code))
    expect(problem).not.toHaveProperty('status')
    expect(fromProblem(problem, 'not-ess')).toMatchObject({ code, message: new EssError(code).message })
  })

  test('has its exit status', () => {
    expect(new EssError(code).exitStatus).toBe(EXITS[code])
  })

  test('is whole sentences of its own, on one line that ends in the code', () => {
    const { message } = new EssError(code)
    expect(message.startsWith(`${PROBLEMS[code].title}.`)).toBe(true)
    expect(message).toMatch(/^[A-Z].*\.$/)
    expect(problemLine(new EssError(code))).toBe(`${message} [${code}]\n`)
  })
})

test('the text says when to try again, before the code', () => {
  const error = new EssError('too-many-sockets', 'This server is full.', { retryAfter: 90 })
  expect(problemLine(error)).toBe('This server is full. Try again in 1 min 30 s. [too-many-sockets]\n')
  expect(problemSentences(error)).toBe('This server is full. Try again in 1 min 30 s.')
  expect(problemText(new EssError('gone', 'It is over.'), 30)).toBe('It is over. Try again in 30 s. [gone]')
})

test('a code of a later version is read from its type', () => {
  expect(codeOfProblem({ type: 'urn:ess:problem:flux', title: 'New' })).toBe('flux')
  expect(codeOfProblem({ type: 'about:blank', title: 'New' })).toBe('about:blank')
})

test('a status is an error of HTTP, and none belongs to what only a client meets', () => {
  for (const code of CODES) {
    const { status } = PROBLEMS[code]
    if (status !== null) expect(status, code).toSatisfy((value: number) => value >= 400 && value < 600)
  }
  const withoutStatus = CODES.filter((code) => PROBLEMS[code].status === null)
  expect(withoutStatus).toEqual([
    'usage',
    'server-unreachable',
    'proxy-failed',
    'not-ess',
    'connection-lost',
    'unconfirmed',
    'incomplete',
    'file-exists',
    'file-unreadable',
    'file-unwritable',
    'file-changed',
    'key-required',
    'wrong-key',
    'not-authentic',
    'unsafe-bundle',
    'interrupted',
  ])
})

test('every exit status but success has a problem', () => {
  const used = new Set<number>(CODES.map((code) => PROBLEMS[code].exit))
  const unused = Object.entries(EXIT_STATUS).filter(([, status]) => !used.has(status))
  expect(unused.map(([name]) => name)).toEqual(['ok'])
})

describe('a problem from a later version of the protocol', () => {
  test.each(['flux', 'toString', '__proto__', ''])('with the code %j becomes the fallback', (code) => {
    expect(isProblemCode(code)).toBe(false)
    const problem = { type: `urn:ess:problem:${code}`, title: 'New', detail: 'something new' }
    expect(fromProblem(problem, 'incomplete')).toMatchObject({
      code: 'incomplete',
      message: 'something new',
    })
  })
})

test.each([
  ['its detail', { title: 'T', detail: 'D' }, 'D'],
  ['its title, without a detail', { title: 'T' }, 'T'],
  ['its title, with an empty detail', { title: 'T', detail: '' }, 'T'],
  ['its title, with a detail that is no text', { title: 'T', detail: 7 }, 'T'],
  ["its code's own words, without either", {}, new EssError('busy').message],
])('a problem says %s', (_what, members, words) => {
  expect(fromProblem({ type: 'urn:ess:problem:busy', ...members }, 'not-ess')?.message).toBe(words)
})

test.each([
  ['null', null],
  ['a text', 'urn:ess:problem:busy'],
  ['a list', ['urn:ess:problem:busy']],
  ['an object without a type', { title: 'T' }],
  ['a type that is no text', { type: 7 }],
  ["somebody else's type", { type: 'about:blank', title: 'Not Found', status: 404 }],
  ['a type that only contains ours', { type: 'https://example.org/urn:ess:problem:busy' }],
])('%s is not a problem of ours', (_what, value) => {
  expect(fromProblem(value, 'not-ess')).toBeUndefined()
})

test('an error keeps its cause and when to try again', () => {
  const cause = new Error('deeper')
  const error = new EssError('too-many-sockets', 'full', { cause, retryAfter: 30 })
  expect(error).toMatchObject({ name: 'EssError', status: 503, retryAfter: 30, cause })
  expect(new EssError('busy')).not.toHaveProperty('cause')
})
