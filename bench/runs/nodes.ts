import { setTimeout as sleep } from 'node:timers/promises'
import { type Cluster, withCluster } from '../cluster.js'
import { type LoadOptions, type Received, runLoad } from '../load.js'
import { AT_ONE_NODE } from '../placements.js'
import { between } from '../redis-figures.js'
import { type Bench, GIB, type Metric, type Numbers } from '../scenario.js'
import { quantile } from '../statistics.js'
import type { Subject } from '../subjects.js'

export const NODES_METRICS = {
  cpuPerGiB: { title: 'CPU s/GiB', digits: 3 },
  gibPerS: { title: 'GiB/s', digits: 2 },
  p50Us: { title: 'first byte us', digits: 0 },
  smallCpuUs: { title: '1 KiB, CPU us', digits: 0 },
  sent: { title: 'commands sent', digits: 2 },
  commands: { title: 'run', digits: 2 },
  bytesIn: { title: 'B in', digits: 0 },
  bytesOut: { title: 'B out', digits: 0 },
  redisCpuUs: { title: 'Redis CPU us', digits: 0 },
} as const satisfies Record<string, Metric>

/** A client may have 32 transfers, and all of the load comes from one address. */
const AT_ONCE = 20
/** By then V8 has compiled what both nodes run. */
const WARM_UP_TRANSFERS = { quick: 1000, full: 3000 }
/** Long enough for the body to lie there when the receiver asks, as in `first-byte`. */
const PAUSE_US = 4000
/** Records are written behind an answer. After this time none is owed. */
const SETTLE_MS = 200

/**
 * Transfers over two nodes: sender and receiver at the same one, or the receiver at the other one, which carries it. The
 * CPU is that of both nodes, and what Redis did is for each transfer.
 */
export async function nodes(bench: Bench, subject: Subject): Promise<Numbers> {
  // Any gear but the best would be another measurement.
  return withCluster(bench, 2, ['--relay', 'splice'], async (cluster) => {
    const [port = 0, other = 0] = cluster.ports
    const receiver = { port: subject.name === AT_ONE_NODE ? port : other }
    const carry = (options: LoadOptions) =>
      runLoad(bench.programs, subject, port, { ...options, receiver: { ...receiver, ...options.receiver } })
    await carry({
      bytes: 1024,
      transfers: WARM_UP_TRANSFERS[bench.isQuick ? 'quick' : 'full'],
      atOnce: AT_ONCE,
    })
    const small = await ofSmall(cluster, carry, bench.isQuick ? 1000 : 3000)
    const { firstByteUs } = await carry({
      bytes: 64 * 1024,
      transfers: bench.isQuick ? 200 : 500,
      receiver: { 'first-byte': 1, 'pause-us': PAUSE_US },
    })
    const bytes = bench.isQuick ? GIB : 4 * GIB
    await carry({ bytes: bytes / 4 })
    const before = cluster.cpuSeconds()
    const received = await carry({ bytes })
    const gib = received.bytes / GIB
    return {
      cpuPerGiB: (cluster.cpuSeconds() - before) / gib,
      gibPerS: gib / received.seconds,
      p50Us: quantile(firstByteUs, 0.5),
      ...small,
    }
  })
}

/** What a transfer of 1 KiB costs the nodes and their Redis. */
async function ofSmall(
  { redis, metric, cpuSeconds }: Cluster,
  carry: (options: LoadOptions) => Promise<Received>,
  transfers: number,
): Promise<Numbers> {
  await sleep(SETTLE_MS)
  const [sentBefore, before, cpuBefore] = [await sent(), await redis(), cpuSeconds()]
  await carry({ bytes: 1024, transfers, atOnce: AT_ONCE })
  const cpu = cpuSeconds() - cpuBefore
  await sleep(SETTLE_MS)
  const done = between(before, await redis())
  return {
    smallCpuUs: (cpu / transfers) * 1e6,
    sent: ((await sent()) - sentBefore) / transfers,
    commands: done.commands / transfers,
    bytesIn: done.bytesIn / transfers,
    bytesOut: done.bytesOut / transfers,
    redisCpuUs: (done.cpuSeconds / transfers) * 1e6,
  }

  function sent(): Promise<number> {
    return metric('ess_cluster_commands_total')
  }
}
