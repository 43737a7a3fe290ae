import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cluster, withCluster } from '../cluster.js'
import { type LoadOptions, type Received, runLoad } from '../load.js'
import { AT_ANOTHER_NODE_BY_TLS, AT_ONE_NODE } from '../placements.js'
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
  redisCpuUs: { title: 'Redis CPU us a command', digits: 1 },
  essSent: { title: 'by ess: sent', digits: 2 },
  essCommands: { title: 'run', digits: 2 },
  essBytesIn: { title: 'B in', digits: 0 },
  essBytesOut: { title: 'B out', digits: 0 },
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
 * CPU is that of both nodes. What Redis is asked is for each transfer of 64 KiB, one after the other.
 */
export async function nodes(bench: Bench, subject: Subject): Promise<Numbers> {
  // Any gear but the best would be another measurement.
  const flags = ['--relay', 'splice', ...(subject.name === AT_ANOTHER_NODE_BY_TLS ? ['--cluster-tls'] : [])]
  return withCluster(bench, 2, flags, async (cluster) => {
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
    // One after the other: a node tells Redis of several transfers of one client together, and of many clients one by one.
    let firstByteUs: readonly number[] = []
    const transfers = bench.isQuick ? 200 : 500
    const asked = await ofRedis(cluster, transfers, async () => {
      const receiver = { 'first-byte': 1, 'pause-us': PAUSE_US }
      firstByteUs = (await carry({ bytes: 64 * 1024, transfers, receiver })).firstByteUs
    })
    const byEss = await ofEss(bench, cluster, receiver.port, bench.isQuick ? 20 : 200)
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
      sent: asked.sent,
      commands: asked.commands,
      bytesIn: asked.bytesIn,
      bytesOut: asked.bytesOut,
      ...byEss,
    }
  })
}

/** What a transfer of 1 KiB costs the nodes, and a command their Redis while it has some to do. */
async function ofSmall(
  cluster: Cluster,
  carry: (options: LoadOptions) => Promise<Received>,
  transfers: number,
): Promise<Numbers> {
  let cpuSeconds = 0
  const asked = await ofRedis(cluster, transfers, async () => {
    const before = cluster.cpuSeconds()
    await carry({ bytes: 1024, transfers, atOnce: AT_ONCE })
    cpuSeconds = cluster.cpuSeconds() - before
  })
  return {
    smallCpuUs: (cpuSeconds / transfers) * 1e6,
    redisCpuUs: (asked.cpuSeconds / asked.commands) * 1e6,
  }
}

/** What Redis is asked for a transfer of the client that has an upload resource, and looks before it receives. */
async function ofEss(
  { essDist, scratch }: Bench,
  cluster: Cluster,
  receiverPort: number,
  transfers: number,
): Promise<Numbers> {
  // That of the build which is measured.
  const { get, send } = (await import(
    join(essDist, 'client/index.js')
  )) as typeof import('../../client/index.js')
  const file = join(scratch, 'a-kibibyte')
  writeFileSync(file, Buffer.alloc(1024, 'x'))
  const { sent, commands, bytesIn, bytesOut } = await ofRedis(cluster, transfers, async () => {
    for (let count = 0; count < transfers; count++) {
      const sending = send(file, { server: `http://127.0.0.1:${cluster.ports[0]}` })
      for await (const event of sending) {
        if (event.event !== 'opened') continue
        const link = new URL(event.url)
        link.port = String(receiverPort)
        for await (const _bytes of await get(link.href)) {
          // It is taken, and thrown away.
        }
      }
      await sending.verdict
    }
  })
  return { essSent: sent, essCommands: commands, essBytesIn: bytesIn, essBytesOut: bytesOut }
}

/** What Redis is asked for each of these transfers. */
async function ofRedis({ redis, metric }: Cluster, transfers: number, act: () => Promise<void>) {
  const sent = () => metric('ess_cluster_commands_total')
  await sleep(SETTLE_MS)
  const [sentBefore, before] = [await sent(), await redis()]
  await act()
  await sleep(SETTLE_MS)
  const done = between(before, await redis())
  return {
    sent: ((await sent()) - sentBefore) / transfers,
    commands: done.commands / transfers,
    bytesIn: done.bytesIn / transfers,
    bytesOut: done.bytesOut / transfers,
    cpuSeconds: done.cpuSeconds / transfers,
  }
}
