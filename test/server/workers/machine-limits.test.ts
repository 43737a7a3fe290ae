import { describe, expect, test } from 'vitest'
import { MachineLimits } from '../../../server/workers/machine-limits.js'
import type { ToWorker } from '../../../server/workers/messages.js'

const MOST = { sockets: 3, reservations: 0, waiting: 1, room: 5, awaiting: 5 }

function limits() {
  const told: ToWorker[] = []
  const machine = new MachineLimits<string>(MOST, 2, (message) => told.push(message))
  /** What was told since the last look. */
  const news = () => told.splice(0)
  return { machine, news }
}

const full = (what: string, client: string, isFull = true) => ({ kind: 'full', what, client, isFull })

describe('the limits of a machine', () => {
  test('tell all workers when a client has all it may have over all of them, and when it has less', () => {
    const { machine, news } = limits()
    machine.changed('one', 'sockets', 'a', 1)
    machine.changed('two', 'sockets', 'a', 1)
    machine.changed('two', 'sockets', 'b', 1)
    expect(news()).toEqual([])
    machine.changed('one', 'sockets', 'a', 1)
    expect(news()).toEqual([full('sockets', 'a')])
    // Two workers took one at the same moment.
    machine.changed('two', 'sockets', 'a', 1)
    expect(news()).toEqual([])
    machine.changed('one', 'sockets', 'a', -1)
    expect(news()).toEqual([])
    machine.changed('one', 'sockets', 'a', -1)
    expect(news()).toEqual([full('sockets', 'a', false)])
  })

  test('of 0 are none', () => {
    const { machine, news } = limits()
    for (let count = 0; count < 10; count++) machine.changed('one', 'reservations', 'a', 1)
    expect(news()).toEqual([])
  })

  test('count what a worker held as given back when it is gone', () => {
    const { machine, news } = limits()
    for (const worker of ['one', 'two', 'two']) machine.changed(worker, 'sockets', 'a', 1)
    machine.changed('two', 'waiting', 'a', 1)
    machine.changed('one', 'waiting', '2001:db8::/64', 1)
    expect(news()).toHaveLength(3)
    machine.drop('two')
    expect(news()).toEqual([full('sockets', 'a', false), full('waiting', 'a', false)])
    expect([...machine.full()]).toEqual([full('waiting', '2001:db8::/64')])
    machine.drop('one')
    expect(news()).toEqual([full('waiting', '2001:db8::/64', false)])
    expect([...machine.full()]).toEqual([])
  })

  test('count the room for all clients', () => {
    const { machine, news } = limits()
    for (const worker of ['one', 'two', 'one', 'two']) machine.changed(worker, 'room', '', 1)
    expect(news()).toEqual([])
    machine.changed('one', 'room', '', 1)
    expect(news()).toEqual([full('room', '')])
  })

  test('tell for how long a client that missed too often may look nothing up', () => {
    const { machine, news } = limits()
    machine.missed('a')
    machine.missed('b')
    expect(news()).toEqual([])
    machine.missed('a')
    const [out] = news()
    expect(out).toMatchObject({ kind: 'out', client: 'a' })
    expect((out as { forMs: number }).forMs).toBeGreaterThan(59_000)
    expect((out as { forMs: number }).forMs).toBeLessThanOrEqual(60_000)
  })
})
