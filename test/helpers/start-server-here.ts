import { PassThrough } from 'node:stream'
import { onTestFinished } from 'vitest'
import { run } from '../../server/cli/run.js'
import { startNodesOf, untilLogged } from './start-nodes.js'
import { AT_ONCE } from './start-server.js'
import { recordLog } from './suite-logs.js'
import { DEADLINE_MS, until, within } from './within.js'

/** An `ess-server` that runs in the test's own process. */
export interface ServerHere {
  /** Without a final slash. */
  readonly url: string
  readonly port: number
  /** Its log so far. */
  stderr(): string
  /** Waits until its log matches. */
  untilStderr(pattern: RegExp): Promise<RegExpExecArray>
  /** Stops it as SIGTERM does, and resolves with the exit status. */
  stop(): Promise<number>
  /** Makes it read its files again, as SIGHUP does. */
  reload(): void
}

/**
 * Runs the command `ess-server` with these flags on a free port, as main.ts would, but in this process, which saves half
 * a second of CPU each time. A test that needs signals, memory or the built package starts a process (`startServer`).
 * The server stops when the test is over. It relays by the gear of the project that is running. With ESS_NODES=2 it has
 * another node beside it, where its receivers go; with more, it is so many nodes behind a balancer.
 */
export async function startServerHere(...flags: readonly string[]): Promise<ServerHere> {
  return await startNodesOf(startOne, flags, asOne)
}

const asOne: Parameters<typeof startNodesOf<ServerHere>>[2] = (nodes, shared) => ({
  ...shared,
  untilStderr: (pattern) => untilLogged(shared, pattern),
  stop: async () => Math.max(...(await Promise.all(nodes.map((node) => node.stop())))),
  reload: () => {
    for (const node of nodes) node.reload()
  },
})

async function startOne(...flags: readonly string[]): Promise<ServerHere> {
  const stdout = new PassThrough()
  const stderr = new PassThrough().setEncoding('utf8')
  let log = ''
  stderr.on('data', (text: string) => {
    log += text
  })
  const stops: (() => void)[] = []
  const reloads: (() => void)[] = []
  const status = run(['--port', '0', ...flags], {
    stdout,
    stderr,
    env: { ESS_RELAY: process.env['ESS_RELAY'], ESS_WORKERS: process.env['ESS_WORKERS'], ...AT_ONCE },
    onStop: (listener) => void stops.push(listener),
    onReload: (listener) => void reloads.push(listener),
  })
  const stop = () => {
    for (const listener of stops) listener()
    return within(DEADLINE_MS, 'ess-server stops', status)
  }
  let isStopped = false
  onTestFinished(async () => {
    recordLog(log)
    if (isStopped) return
    // What still runs is of no interest: the second request ends it.
    for (const listener of stops) listener()
    await stop()
  })
  const failed = status.then(() => {
    throw new Error(`ess-server did not start: ${log}`)
  })
  const listening = new Promise<string>((resolve) => {
    let said = ''
    stdout.on('data', (text: Buffer) => {
      said += text
      const [, url] = /^listening on (https?:\/\/127\.0\.0\.1:\d+)\n/.exec(said) ?? []
      if (url !== undefined) resolve(url)
    })
  })
  const url = await within(DEADLINE_MS, 'ess-server listens', Promise.race([listening, failed]))
  return {
    url,
    port: Number(new URL(url).port),
    stderr: () => log,
    untilStderr: async (pattern) => {
      await until(`ess-server logs ${pattern}`, () => pattern.test(log))
      // It was just seen to match.
      return pattern.exec(log) as RegExpExecArray
    },
    stop: () => {
      isStopped = true
      return stop()
    },
    reload: () => {
      for (const listener of reloads) listener()
    },
  }
}
