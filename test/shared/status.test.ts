import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  EssError,
  encodeStatus,
  isTerminal,
  StatusDecoder,
  type StatusEvent,
  toFailedProblem,
} from '../../shared/index.js'

const URL_OF_SOCKET = 'http://127.0.0.1:9000/abcdefghijkl/name.txt'

const EVENTS: readonly StatusEvent[] = [
  {
    event: 'opened',
    v: 1,
    id: 'abcdefghijkl',
    url: URL_OF_SOCKET,
    ttl: 600,
    expires: '2030-01-01T00:10:00.000Z',
    maxUploadBytes: 2 ** 30,
  },
  { event: 'waiting', secondsLeft: 570 },
  { event: 'connected' },
  { event: 'progress', bytes: 42_000_000, total: 100_000_000 },
  { event: 'progress', bytes: 42_000_000 },
  { event: 'delivered', bytes: 100_000_000, confirmed: true },
  { event: 'delivered', bytes: 1, confirmed: false },
  {
    event: 'failed',
    problem: toFailedProblem(new EssError('receiver-lost', 'the receiver disconnected after 7 bytes')),
    bytes: 7,
  },
  { event: 'failed', problem: { type: 'urn:ess:problem:new', title: 'Something new' }, bytes: 0 },
  { event: 'moved' },
]

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const anyEvent: fc.Arbitrary<StatusEvent> = fc.oneof(
  fc.constantFrom(...EVENTS),
  fc.record({ event: fc.constant('progress' as const), bytes: count, total: count }),
  fc.record({ event: fc.constant('delivered' as const), bytes: count, confirmed: fc.boolean() }),
  fc.record({
    event: fc.constant('failed' as const),
    bytes: count,
    problem: fc.record({
      type: fc.string(),
      title: fc.string({ unit: 'grapheme' }),
      // Newlines and quotes in it must not break the line.
      detail: fc.string({ unit: 'binary' }).map((text) => text.toWellFormed()),
    }),
  }),
)

/** `text` in pieces: cut at each of `cuts`, which count modulo its length. */
function cutUp(text: string, cuts: readonly number[]): string[] {
  const at = [...cuts.map((cut) => cut % (text.length + 1)), 0, text.length].sort((a, b) => a - b)
  return at.slice(1).map((end, index) => text.slice(at[index], end))
}

describe('the NDJSON form', () => {
  test('comes out as it went in, however it is cut on the way', () => {
    fc.assert(
      fc.property(fc.array(anyEvent), fc.array(fc.nat()), (events, cuts) => {
        const text = events.map((event) => encodeStatus(event, 'ndjson')).join('')
        const decoder = new StatusDecoder()
        expect(cutUp(text, cuts).flatMap((piece) => decoder.push(piece))).toEqual(events)
      }),
    )
  })

  test.each(EVENTS)('$event is one line', (event) => {
    expect(encodeStatus(event, 'ndjson')).toMatch(/^\{"event":"[a-z]+".*\}\n$/)
  })

  test('gives an event as soon as its line is whole, not before', () => {
    const decoder = new StatusDecoder()
    expect(decoder.push('{"event":"connected"}')).toEqual([])
    expect(decoder.push('\n')).toEqual([{ event: 'connected' }])
  })

  test.each([
    ['an event of a later version', '{"event":"split","offset":3}\n', []],
    ['an event named like a method of objects', '{"event":"toString"}\n', []],
    ['an event whose name is no text', '{"event":7}\n', []],
    ['empty lines', '\n  \n\r\n', []],
    [
      'unknown members',
      '{"event":"waiting","secondsLeft":1,"mood":"good"}\n',
      [{ event: 'waiting', secondsLeft: 1, mood: 'good' }],
    ],
  ])('takes no offence at %s', (_what, text, events) => {
    expect(new StatusDecoder().push(text)).toEqual(events)
  })

  test.each([
    ['HTML', '<!doctype html>\n'],
    ['the text form', `${URL_OF_SOCKET}\n`],
    ['half an object', '{"event":"connected"\n'],
    ['null', 'null\n'],
    ['a number', '7\n'],
    ['a text', '"event"\n'],
    ['a list', '["event"]\n'],
    ['an object without an event', '{"status":"ok"}\n'],
    ['waiting without its time', '{"event":"waiting"}\n'],
    ['progress whose bytes are a text', '{"event":"progress","bytes":"1"}\n'],
    ['progress whose total is a text', '{"event":"progress","bytes":1,"total":"2"}\n'],
    ['delivered without a word on its confirmation', '{"event":"delivered","bytes":1}\n'],
    ['failed without a problem', '{"event":"failed","problem":null,"bytes":0}\n'],
    [
      'opened with a ttl in words',
      '{"event":"opened","v":1,"id":"x","url":"http://h/x","ttl":1,"ttlAsked":"2","expires":"","maxUploadBytes":0}\n',
    ],
    ['opened without a URL', '{"event":"opened","v":1,"id":"x","ttl":1,"expires":"","maxUploadBytes":0}\n'],
  ])('is not %s', (_what, text) => {
    const push = () => new StatusDecoder().push(text)
    expect(push).toThrow(expect.objectContaining({ code: 'not-ess' }))
    expect(push).toThrow(`: ${JSON.stringify(text.slice(0, 60).trimEnd())}`)
  })

  describe('on a line of', () => {
    const line = (length: number) => {
      const frame = '{"event":"later","pad":""}'
      return `${frame.slice(0, -2)}${'x'.repeat(length - frame.length)}"}`
    }
    const LIMIT = 64 * 1024

    test('64 KiB reads on', () => {
      const decoder = new StatusDecoder()
      expect(decoder.push(line(LIMIT))).toEqual([])
      expect(decoder.push('\n{"event":"connected"}\n')).toEqual([{ event: 'connected' }])
    })

    test.each([
      ['whole', `${line(LIMIT + 1)}\n`],
      ['unfinished', 'x'.repeat(LIMIT + 1)],
    ])('one character more gives up, %s', (_how, text) => {
      expect(() => new StatusDecoder().push(text)).toThrow(expect.objectContaining({ code: 'not-ess' }))
    })
  })
})

test.each([
  [0, `${URL_OF_SOCKET}\n# waiting for a receiver; the link works once, for 10 min\n`],
  [1, '# still waiting, 9 min 30 s left\n'],
  [2, '# receiver connected\n'],
  [3, '# 42.0 MB of 100.0 MB\n'],
  [4, '# 42.0 MB\n'],
  [5, '# delivered: 100000000 bytes\n'],
  [6, '# delivered: 1 bytes, not confirmed by the receiver\n'],
  [7, '# failed: the receiver disconnected after 7 bytes [receiver-lost]\n'],
  [8, '# failed: Something new. [new]\n'],
])('as text, event %d reads as a person expects', (index, text) => {
  const event = EVENTS[index]
  expect(event && encodeStatus(event, 'text')).toBe(text)
})

test('every line of the text form but the first begins with "# "', () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const lines = encodeStatus(event, 'text').split('\n').slice(0, -1)
      if (event.event === 'opened') expect(lines.shift()).toBe(URL_OF_SOCKET)
      for (const line of lines) expect(line).toMatch(/^# /)
    }),
  )
})

test('the verdicts are delivered and failed, and nothing else', () => {
  const verdicts = new Set(EVENTS.filter(isTerminal).map(({ event }) => event))
  expect(verdicts).toEqual(new Set(['delivered', 'failed']))
})
