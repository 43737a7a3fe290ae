import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { withSubject } from '../carry.js'
import { keep, stopChild } from '../child.js'
import { flags, reportOf } from '../load.js'
import type { Bench, Numbers } from '../scenario.js'
import type { Subject } from '../subjects.js'
import { waitingSocketsThatFit } from '../tcp-memory.js'

const SOCKETS = 5000
const QUICK_SOCKETS = 1000
const PUSHED_BYTES = 256 * 1024
/** Descriptors that a subject needs beside one for each socket. */
const SPARE_DESCRIPTORS = 200
/** Until the subject has read what it wants to read without a receiver. */
const SETTLE_MS = 2000

/** How many sockets are held: as many as are wanted, or as many as the machine lets wait. */
function waitingSockets({ isQuick, maxDescriptors }: Bench): number {
  return Math.min(
    isQuick ? QUICK_SOCKETS : SOCKETS,
    maxDescriptors - SPARE_DESCRIPTORS,
    waitingSocketsThatFit(),
  )
}

/** For whoever reads the table: how many sockets waited, and why no more. */
export function describeWaiting(bench: Bench): string {
  const sockets = waitingSockets(bench)
  const wanted = bench.isQuick ? QUICK_SOCKETS : SOCKETS
  if (sockets === wanted) return `${sockets} sockets`
  const why =
    sockets === waitingSocketsThatFit()
      ? "more would not fit into the kernel's memory for TCP (net.ipv4.tcp_mem)"
      : `a process may have ${bench.maxDescriptors} files open (ulimit -Hn)`
  return `only ${sockets} sockets instead of ${wanted}: ${why}`
}

/** Thousands of senders without a receiver, each of which has pushed 256 KiB: the relay's memory for each. */
export async function waiting(bench: Bench, subject: Subject): Promise<Numbers> {
  const sockets = waitingSockets(bench)
  return withSubject(bench, subject, undefined, async (process, carry) => {
    // The code is loaded and has run before the first one counts.
    await carry({ bytes: 1024, transfers: 200, atOnce: 10 })
    const before = process.residentBytes()
    const { route, says100 } = subject
    const hold = flags({
      port: process.port,
      route,
      hold: 1,
      continue: says100 ? 1 : 0,
      transfers: sockets,
      bytes: PUSHED_BYTES,
    })
    const sender = keep(spawn(bench.programs.sender, hold, { stdio: ['pipe', 'pipe', 'pipe'] }))
    try {
      const report = reportOf(sender, 'sender')
      // Awaited below; a failure before that must not end the whole bench.
      report.catch(() => undefined)
      await Promise.race([once(sender.stdout, 'data'), report])
      await sleep(SETTLE_MS)
      const after = process.residentBytes()
      sender.stdin.end()
      await report
      return { kibPerSocket: (after - before) / sockets / 1024 }
    } finally {
      await stopChild(sender)
    }
  })
}
