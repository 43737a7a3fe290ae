import { setTimeout as sleep } from 'node:timers/promises'
import { withSubject } from '../carry.js'
import { type Bench, GIB, MIB, type Numbers } from '../scenario.js'
import type { Subject } from '../subjects.js'

const RATE = 1e6
const SAMPLE_MS = 100

/** A receiver that takes 1 MB/s of a sender who has all of it ready: how much the relay keeps in memory. */
export async function slowReceiver(bench: Bench, subject: Subject): Promise<Numbers> {
  return withSubject(bench, subject, undefined, async (process, carry) => {
    const samples = [process.residentBytes()]
    const load = carry({
      bytes: 64 * GIB,
      isCut: true,
      receiver: { rate: RATE, 'lead-ms': 0, 'window-ms': bench.isQuick ? 4000 : 12_000 },
    })
    let isOver = false
    const ended = load.finally(() => {
      isOver = true
    })
    // A failure is reported by the await below; the sampling must not be cut short by it.
    ended.catch(() => undefined)
    while (!isOver) {
      await sleep(SAMPLE_MS)
      samples.push(process.residentBytes())
    }
    await ended
    const [idle = 0] = samples
    // The first quarter fills buffers and compiles code; from then on nothing is new.
    const settled = samples.slice(Math.ceil(samples.length / 4))
    return {
      grownMiB: (Math.max(...samples) - idle) / MIB,
      driftMiB: (Math.max(...settled) - (settled[0] ?? 0)) / MIB,
    }
  })
}
