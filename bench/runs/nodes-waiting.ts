import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cluster, withCluster } from '../cluster.js'
import { WAITING_FIELDS } from '../placements.js'
import { between, type RedisFigures } from '../redis-figures.js'
import type { Bench, Metric, Numbers } from '../scenario.js'
import type { Subject } from '../subjects.js'

export const NODES_WAITING_METRICS = {
  memoryBytes: { title: 'Redis B each', digits: 0 },
  openCommands: { title: 'to open: run', digits: 2 },
  openBytesIn: { title: 'B in', digits: 0 },
  openBytesOut: { title: 'B out', digits: 0 },
  renewCommands: { title: 'in 5 min: run', digits: 2 },
  renewBytesIn: { title: 'B in', digits: 0 },
  renewBytesOut: { title: 'B out', digits: 0 },
  endedBytes: { title: 'Redis B when ended', digits: 0 },
  beatCommands: { title: 'beat: run', digits: 1 },
  beatBytesIn: { title: 'B in', digits: 0 },
  beatBytesOut: { title: 'B out', digits: 0 },
} as const satisfies Record<string, Metric>

const NODES = 2
const SOCKETS = 5000
const QUICK_SOCKETS = 1000
/** Descriptors that a node needs beside one for each socket. */
const SPARE_DESCRIPTORS = 200
const AT_ONCE = 50
const OPEN_DEADLINE_MS = 60_000

/** Of each node, as in server/locator/redis-link.ts. */
const BEAT_S = 5
const QUIET_BEATS = 4
/** Each record is renewed after 300 s, in rounds of 10 s. */
const RENEWAL_S = 320
/** Until all that is owed is written. */
const SETTLE_MS = 1000
/** Until Redis is told of so many ends. */
const ENDS_MS = 5000

/**
 * Thousands of senders without a receiver, each from an address of its own, at one of two nodes: what Redis holds and
 * does for each. The beat of a node is what it says while nothing happens.
 */
export async function nodesWaiting(bench: Bench, subject: Subject): Promise<Numbers> {
  const sockets = Math.min(
    bench.isQuick ? QUICK_SOCKETS : SOCKETS,
    NODES * (bench.maxDescriptors - SPARE_DESCRIPTORS),
    bench.maxDescriptors - SPARE_DESCRIPTORS,
  )
  const fields = WAITING_FIELDS[subject.name]
  if (fields === undefined) throw new Error(`Expected a kind of sender, got ${subject.name}`)
  return withCluster(bench, NODES, [], async ({ ports, redis }) => {
    const beat = await during(redis, () => sleep(1000 * BEAT_S * QUIET_BEATS))
    const beats = NODES * QUIET_BEATS
    const beatOf = (figure: keyof RedisFigures) => beat[figure] / beats
    const waiting: Socket[] = []
    try {
      const opened = await during(redis, async () => {
        await openAll(waiting, sockets, ports, fields)
        await sleep(SETTLE_MS)
      })
      const renewed = bench.isQuick ? undefined : await during(redis, () => sleep(1000 * RENEWAL_S))
      // Those that can come back are missed before they have ended.
      const canComeBack = fields.includes('Ess-Resume')
      const before = await redis()
      for (const socket of waiting) socket.destroy()
      await sleep(ENDS_MS)
      const { memoryBytes: freed } = between(before, await redis())
      // Without what the nodes said meanwhile because they live.
      const renewal = (figure: keyof RedisFigures) =>
        renewed && (renewed[figure] - beatOf(figure) * NODES * (RENEWAL_S / BEAT_S)) / sockets
      return withoutGaps({
        memoryBytes: opened.memoryBytes / sockets,
        openCommands: opened.commands / sockets,
        openBytesIn: opened.bytesIn / sockets,
        openBytesOut: opened.bytesOut / sockets,
        renewCommands: renewal('commands'),
        renewBytesIn: renewal('bytesIn'),
        renewBytesOut: renewal('bytesOut'),
        endedBytes: canComeBack ? undefined : (opened.memoryBytes + freed) / sockets,
        beatCommands: beatOf('commands'),
        beatBytesIn: beatOf('bytesIn'),
        beatBytesOut: beatOf('bytesOut'),
      })
    } finally {
      for (const socket of waiting) socket.destroy()
    }
  })
}

/** What Redis did during something. */
async function during(redis: Cluster['redis'], act: () => Promise<void>): Promise<RedisFigures> {
  const before = await redis()
  await act()
  return between(before, await redis())
}

/** Opens so many, some at a time, half of them at each of two nodes, and adds them to `waiting`. */
async function openAll(waiting: Socket[], count: number, ports: readonly number[], fields: string) {
  const deadline = setTimeout(() => {
    for (const socket of waiting)
      socket.destroy(new Error(`Expected all links within ${OPEN_DEADLINE_MS} ms`))
  }, OPEN_DEADLINE_MS)
  while (waiting.length < count) {
    const first = waiting.length
    const some = Array.from({ length: Math.min(AT_ONCE, count - first) }, (_, at) => {
      const number = first + at
      const socket = connect({
        port: ports[number % ports.length] ?? 0,
        host: '127.0.0.1',
        // All of 127.0.0.0/8 is this machine, so each can be another client.
        localAddress: `127.1.${number >> 8}.${number & 255}`,
      })
      waiting.push(socket)
      return socket
    })
    await Promise.all(some.map((socket) => open(socket, fields)))
  }
  clearTimeout(deadline)
}

/** Resolves with the first line of a link. */
async function open(socket: Socket, fields: string): Promise<void> {
  socket.write(
    `POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n${fields}\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n`,
  )
  let words = ''
  while (!/\r\n\r\n.*http:/s.test(words)) {
    const [chunk] = await once(socket, 'data')
    words += String(chunk)
    if (/^HTTP\/1\.1 [45]/m.test(words)) throw new Error(`Expected a link, got ${words.split('\r\n')[0]}`)
  }
  // What still comes is of no interest, nor is its end.
  socket.on('error', () => undefined).resume()
}

function withoutGaps(numbers: Readonly<Record<string, number | undefined>>): Numbers {
  const there = Object.entries(numbers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return Object.fromEntries(there)
}
