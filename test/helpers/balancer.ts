import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { freePort } from './free-port.js'
import { run } from './run.js'
import { tempDir } from './temp-dir.js'
import { until } from './within.js'

/** haproxy in front of several nodes. */
export interface Balancer {
  readonly port: number
}

/**
 * Starts haproxy as docs/deploying.md has it, but for its TLS, which passes through here, and in front of several nodes:
 * each connection goes to the next one. It ends when the test is over.
 */
export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const folder = await tempDir()
  const [path, control] = [join(folder, 'haproxy.cfg'), join(folder, 'control')]
  const port = await freePort()
  await writeFile(
    path,
    `global
  # By several threads, the turns of the nodes would not be exact.
  nbthread 1
  stats socket ${control}

defaults
  mode tcp
  retries 0
  timeout connect 5s
  timeout client 15m
  timeout server 15m

frontend ess
  bind 127.0.0.1:${port}
  default_backend nodes

backend nodes
  balance roundrobin
${ports.map((node, index) => `  server node-${index} 127.0.0.1:${node}\n`).join('')}`,
  )
  const program = await run('haproxy', 'haproxy', ['-f', path])
  await until('haproxy listens', () => answers(control)).catch((error: unknown) => {
    throw new Error(`${error instanceof Error ? error.message : error}: ${program.stderr()}`)
  })
  return { port }
}

/** It answers here as soon as all its ports are open. To connect to one of those would be the first node's turn. */
function answers(control: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asking = connect(control)
      .once('data', () => {
        asking.destroy()
        resolve(true)
      })
      .once('error', () => resolve(false))
      .once('end', () => resolve(false))
    asking.write('show version\n')
  })
}
