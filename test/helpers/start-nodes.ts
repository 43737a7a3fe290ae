import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startBalancer } from './balancer.js'
import { IS_BALANCED, IS_CLUSTER_TLS, NODES, setOtherNode } from './other-node.js'
import { startRedis } from './redis.js'
import { tempDir } from './temp-dir.js'
import { until } from './within.js'

/** A secret as `--cluster-secret-file` has it. */
export async function secretFile(secret = 'a secret that all nodes of this cluster share'): Promise<string> {
  const path = join(await tempDir(), 'secret')
  await writeFile(path, `${secret}\n`, { mode: 0o600 })
  return path
}

/** The flags of a node; each call makes another cluster. */
export async function clusterFlags(redisUrl: string): Promise<readonly string[]> {
  const secret = await secretFile()
  const flags = ['--cluster', redisUrl, '--cluster-listen', '127.0.0.1:0', '--cluster-secret-file', secret]
  return IS_CLUSTER_TLS ? ['--cluster-tls', ...flags] : flags
}

/** What a server and a node have in common. */
interface Node {
  readonly url: string
  readonly port: number
  stderr(): string
}

/**
 * Starts as many nodes of these flags as `ESS_NODES` says. Resolves with the server that a test talks to: the first of
 * two nodes, with the other one for its receivers; or what is behind a balancer, which `asOne` makes of the nodes.
 */
export async function startNodesOf<Server extends Node>(
  start: (...flags: readonly string[]) => Promise<Server>,
  flags: readonly string[],
  asOne: (nodes: readonly Server[], shared: Node) => Server,
): Promise<Server> {
  if (NODES === 1 || flags.includes('--cluster')) return await start(...flags)
  const cluster = await clusterFlags((await startRedis()).url)
  const nodes = await Promise.all(Array.from({ length: NODES }, () => start(...flags, ...cluster)))
  // Before that, a node says of what isn't its own that it can't know.
  await until('the nodes have their Redis', () => nodes.every((node) => /Redis is well/.test(node.stderr())))
  const [first, second] = nodes
  if (first === undefined || second === undefined) throw new Error('Expected several nodes')
  if (IS_BALANCED) return asOne(nodes, await balance(nodes))
  setOtherNode(first.url, second.url)
  return first
}

/** Puts a balancer in front of nodes. Their log is one, line by line. */
export async function balance(nodes: readonly Node[]): Promise<Node> {
  const { port } = await startBalancer(nodes.map((node) => node.port))
  const [{ url } = { url: '' }] = nodes
  let log = ''
  const read = nodes.map(() => 0)
  const stderr = () => {
    for (const [index, node] of nodes.entries()) {
      const text = node.stderr()
      const end = text.lastIndexOf('\n') + 1
      log += text.slice(read[index], end)
      read[index] = end
    }
    return log
  }
  return { url: url.replace(/:\d+$/, `:${port}`), port, stderr }
}

/** Waits until the log of a balanced server matches. */
export async function untilLogged(shared: Node, pattern: RegExp): Promise<RegExpExecArray> {
  await until(`the nodes log ${pattern}`, () => pattern.test(shared.stderr()))
  // It was just seen to match.
  return pattern.exec(shared.stderr()) as RegExpExecArray
}
