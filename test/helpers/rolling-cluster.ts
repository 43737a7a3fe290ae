import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { freePort } from './free-port.js'
import { startRedis } from './redis.js'
import { type RestartedServer, restartedServer } from './restarted-server.js'
import { run } from './run.js'
import { clusterFlags } from './start-nodes.js'
import { NO_CLIENT_LIMITS } from './start-server.js'
import { tempDir } from './temp-dir.js'
import { until } from './within.js'

/** A node behind the balancer. When it has started, the balancer sends connections to it. */
export type ClusterNode = RestartedServer

/** Several nodes behind haproxy, which asks each of them whether it takes senders. */
export interface RollingCluster {
  /** Of the balancer, without a final slash. */
  readonly url: string
  readonly port: number
  readonly nodes: readonly ClusterNode[]
}

/**
 * Starts Redis and haproxy, and none of the nodes, which get these flags. One address is all clients here, so none has
 * limits. All of it ends when the test is over.
 */
export async function rollingCluster(count: number, ...flags: readonly string[]): Promise<RollingCluster> {
  const cluster = await clusterFlags((await startRedis()).url)
  const ports: number[] = []
  while (ports.length < count) ports.push(await freePort())
  const isTls = flags.includes('--tls-cert')
  const { port, statusOf } = await startHaproxy(ports, isTls)
  const nodes = ports.map((own, index): ClusterNode => {
    const node = restartedServer(`node ${index}`, own, ...NO_CLIENT_LIMITS, ...cluster, ...flags)
    return {
      ...node,
      async start() {
        await node.start()
        await until(`haproxy knows of node ${index}`, async () => (await statusOf(index)) === 'UP')
      },
    }
  })
  return { url: `${isTls ? 'https' : 'http'}://127.0.0.1:${port}`, port, nodes }
}

/** As docs/deploying.md has it, in front of several nodes, whose TLS passes through, if they have any. */
async function startHaproxy(ports: readonly number[], isTls: boolean) {
  const folder = await tempDir()
  const [path, control] = [join(folder, 'haproxy.cfg'), join(folder, 'control')]
  const port = await freePort()
  await writeFile(
    path,
    `global
  stats socket ${control}

defaults
  mode tcp
  # A connection that one node refuses goes to the next.
  retries 3
  option redispatch 1
  timeout connect 5s
  timeout client 15m
  timeout server 15m
  timeout check 5s

frontend ess
  bind 127.0.0.1:${port}
  default_backend nodes

backend nodes
  balance roundrobin
  option httpchk
  http-check send meth GET uri /health ver HTTP/1.1 hdr Host 127.0.0.1
  default-server check ${isTls ? 'check-ssl verify none inter 500ms fall 3' : 'inter 100ms fall 1'} rise 1
${ports.map((node, index) => `  server node-${index} 127.0.0.1:${node}\n`).join('')}`,
  )
  const program = await run('haproxy', 'haproxy', ['-f', path])
  const statusOf = async (index: number) => {
    const row = (await command(control, 'show stat'))
      .split('\n')
      .find((line) => line.startsWith(`nodes,node-${index},`))
    return row?.split(',')[STATUS_COLUMN]
  }
  // Before its first look it takes every node for one that is there.
  const areAllAway = async () => (await Promise.all(ports.map((_, index) => statusOf(index)))).every(isDown)
  await until('haproxy sees that no node is there', areAllAway).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : error}: ${program.stderr()}`)
  })
  return { port, statusOf }
}

const isDown = (status: string | undefined) => status === 'DOWN'

/** In the table that haproxy gives. */
const STATUS_COLUMN = 17

/** What haproxy answers to a command; nothing while it does not listen yet. */
async function command(control: string, words: string): Promise<string> {
  const asking = connect(control)
  asking.end(`${words}\n`)
  return await text(asking).catch(() => '')
}
