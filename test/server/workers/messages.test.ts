import { describe, expect, test } from 'vitest'
import {
  isConnectionNote,
  isPassedNote,
  readToParent,
  readToWorker,
} from '../../../server/workers/messages.js'

describe('a message', () => {
  test.each([
    { kind: 'ready', gear: 'splice', address: '127.0.0.1:1' },
    { kind: 'share', what: 'sockets', client: '127.0.0.1', by: -1 },
    { kind: 'find', ask: 1, what: 'token', key: 'x' },
    { kind: 'metrics', ask: 1, metrics: [{}] },
    { kind: 'drained' },
  ])('to the parent is read: $kind', (message) => {
    expect(readToParent(JSON.stringify(message))).toEqual(message)
  })

  test.each([
    { kind: 'full', what: 'room', client: '', isFull: true },
    { kind: 'found', ask: 1 },
    { kind: 'found', ask: 1, found: 'gone' },
    { kind: 'found', ask: 1, found: { node: 'a', address: 'b:1' } },
    { kind: 'tokens', tokens: { send: ['00'] } },
    { kind: 'stop', drainMs: 0 },
  ])('to a worker is read: $kind', (message) => {
    expect(readToWorker(JSON.stringify(message))).toEqual(message)
  })

  test.each([
    'null',
    '[]',
    '"drained"',
    '{}',
    '{"kind":"constructor"}',
    '{"kind":"stop","drainMs":1}',
    '{"kind":"took"}',
    '{"kind":"took","number":"1"}',
    '{"kind":"share","what":"elephants","client":"a","by":1}',
    '{"kind":"metrics","ask":1,"metrics":[1]}',
  ])('is refused: %s', (line) => {
    expect(() => readToParent(line)).toThrow('Expected a message, got')
  })

  test.each([
    '{"kind":"found","ask":1,"found":"here"}',
    '{"kind":"tokens","tokens":{"send":[1]}}',
    '{"kind":"took","number":1}',
  ])('to a worker is refused: %s', (line) => {
    expect(() => readToWorker(line)).toThrow('Expected a message, got')
  })
})

test.each([
  [{ number: 1 }, true, false],
  [{ number: 1, bytes: '', isPassed: true }, true, false],
  [{ number: 1, bytes: '', to: 'worker-1' }, true, true],
  [{ number: 1, to: 'worker-1' }, true, false],
  [{ number: '1' }, false, false],
  [{ number: 1, bytes: 1, to: 'worker-1' }, false, false],
  [undefined, false, false],
])('the note %j of a connection', (note, isConnection, isPassed) => {
  expect(isConnectionNote(note)).toBe(isConnection)
  expect(isPassedNote(note)).toBe(isPassed)
})
