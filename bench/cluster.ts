import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type AskRedis, withRedisFigures } from './redis-figures.js'
import type { Bench } from './scenario.js'
import { type SubjectProcess, startSubject } from './subject-process.js'

/** How long nodes have to find each other. */
const JOIN_DEADLINE_MS = 10_000
const POLL_MS = 50

/** Nodes that share a Redis of their own. */
export interface Cluster {
  /** The port of each node. */
  readonly ports: readonly number[]
  readonly redis: AskRedis
  /** User and system time of all nodes together, so far. */
  cpuSeconds(): number
  /** What all nodes say together of a metric without labels. */
  metric(name: string): Promise<number>
}

interface Node {
  readonly process: SubjectProcess
  /** The URL of its listener for the operator. */
  readonly admin: string
}

/**
 * Starts so many nodes with their defaults but for the log, and a Redis as docs/operating.md wants it, for `use` alone.
 * All of them are on loopback.
 */
export async function withCluster<T>(
  bench: Bench,
  count: number,
  flags: readonly string[],
  use: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  const secret = join(bench.scratch, 'cluster-secret')
  writeFileSync(secret, 'the secret of a cluster on loopback\n')
  const redis = await startSubject((port) => ({
    file: 'redis-server',
    args: [
      ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', bench.scratch],
      ...['--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'],
    ],
  }))
  const nodes: Node[] = []
  try {
    for (let at = 0; at < count; at++) {
      const process = await startSubject(
        (port) => ({
          file: globalThis.process.execPath,
          args: [
            join(bench.essDist, 'server/main.js'),
            ...['--port', `${port}`, '--log', 'off', '--admin', '127.0.0.1:0', ...flags],
            ...['--cluster', `redis://127.0.0.1:${redis.port}`],
            ...['--cluster-listen', '127.0.0.1:0', '--cluster-secret-file', secret],
          ],
        }),
        { isHeard: true },
      )
      nodes.push({ process, admin: await adminOf(process) })
    }
    return await withRedisFigures(redis.port, async (ask) => {
      const metric = (name: string) => sumOf(nodes, name)
      await untilTheyKnowEachOther(metric, count)
      return await use({
        ports: nodes.map(({ process }) => process.port),
        redis: ask,
        cpuSeconds: () => nodes.reduce((sum, { process }) => sum + process.cpuSeconds(), 0),
        metric,
      })
    })
  } finally {
    for (const { process } of nodes) await process.stop()
    await redis.stop()
  }
}

/** It says its address as soon as it listens. */
async function adminOf({ said }: SubjectProcess): Promise<string> {
  const deadline = performance.now() + JOIN_DEADLINE_MS
  for (;;) {
    const [, url] = /^admin on (\S+)$/m.exec(said()) ?? []
    if (url !== undefined) return url
    if (performance.now() > deadline) throw new Error(`Expected the address for the operator in ${said()}`)
    await sleep(POLL_MS)
  }
}

async function untilTheyKnowEachOther(metric: Cluster['metric'], count: number): Promise<void> {
  const deadline = performance.now() + JOIN_DEADLINE_MS
  while ((await metric('ess_cluster_nodes')) !== count * count) {
    if (performance.now() > deadline) throw new Error(`Expected ${count} nodes to find each other`)
    await sleep(POLL_MS)
  }
}

async function sumOf(nodes: readonly Node[], name: string): Promise<number> {
  let sum = 0
  for (const { admin } of nodes) {
    const text = await (await fetch(`${admin}/metrics`)).text()
    const value = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]
    if (value === undefined) throw new Error(`Expected the metric ${name}`)
    sum += Number(value)
  }
  return sum
}
