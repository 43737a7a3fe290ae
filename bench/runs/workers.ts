import { readFileSync } from 'node:fs'
import { withSubject } from '../carry.js'
import { type Bench, GIB, MIB, type Numbers } from '../scenario.js'
import { cpuSecondsOf } from '../subject-process.js'
import type { Subject } from '../subjects.js'

const AT_ONCE = 20

/** 20 transfers at once over TLS: how fast they go together, and how the CPU is spread over the processes. */
export async function workers(bench: Bench, subject: Subject): Promise<Numbers> {
  const bytes = (bench.isQuick ? 32 : 128) * MIB
  const options = { bytes, transfers: AT_ONCE, atOnce: AT_ONCE }
  return await withSubject(bench, subject, bench.certificate, async ({ pid }, carry) => {
    await carry({ ...options, bytes: bytes / 4 })
    const workerPids = childrenOf(pid)
    const before = [pid, ...workerPids].map(cpuSecondsOf)
    const received = await carry(options)
    const [own = 0, ...each] = [pid, ...workerPids].map(
      (one, index) => cpuSecondsOf(one) - (before[index] ?? 0),
    )
    const all = own + sum(each)
    const gib = received.bytes / GIB
    return {
      gibPerS: gib / received.seconds,
      cpuPerGiB: all / gib,
      // Of one process alone, all is its own.
      leastShare: each.length === 0 ? 1 : Math.min(...each) / sum(each),
    }
  })
}

function childrenOf(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return list.trim().split(/\s+/).filter(Boolean).map(Number)
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
