import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { expectQuietNode, STRICT_NODE } from './child-env.js'
import { type Ending, run } from './run.js'
import { startNodesOf, untilLogged } from './start-nodes.js'
import { recordLog } from './suite-logs.js'

/** The command as it is built. */
export const ESS_SERVER = fileURLToPath(new URL('../../dist/server/main.js', import.meta.url))

/** For a server whose clients, all of one address, are to have no less than all of it. */
export const NO_CLIENT_LIMITS = ['sockets', 'reservations', 'waiting', 'misses', 'connections'].flatMap(
  (what) => [`--max-${what}-per-client`, '0'],
)

/** Has V8 collect what the server doesn't hold. */
const COLLECT_OFTEN = new URL('collect-often.mjs', import.meta.url).href

/** A cut is the end at once, unless a test says `--resume-within`: most tests are about how transfers end. */
export const AT_ONCE = { ESS_RESUME_WITHIN: '0' }

export interface TestServer {
  /** Without a final slash. */
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Its log so far. */
  stderr(): string
  /** Waits until what it wrote matches. */
  untilStdout(pattern: RegExp): Promise<RegExpExecArray>
  untilStderr(pattern: RegExp): Promise<RegExpExecArray>
  /** Sends a signal (SIGTERM when not said) and waits for the end. */
  stop(signal?: NodeJS.Signals, ms?: number): Promise<Ending>
  /** Sends a signal and goes on. */
  signal(signal: NodeJS.Signals): void
  /** Waits for the end. */
  ended(ms?: number): Promise<Ending>
  /** Its resident memory, in bytes. Linux only. */
  residentBytes(): Promise<number>
  /** The nodes that it is, behind a balancer. Its process id is that of the first one. */
  readonly nodes?: readonly TestServer[]
}

/**
 * Starts the real `ess-server` on a free port, by the Node that runs the tests; it is stopped when the test
 * is over. It relays by the gear that the project of this run is about. The test fails when it leaves a Node warning or a stack trace on stderr.
 */
export function startServer(...flags: readonly string[]): Promise<TestServer> {
  return startServerIn({}, ...flags)
}

/** The same with these variables of its environment. */
export async function startServerIn(
  env: Readonly<Record<string, string>>,
  ...flags: readonly string[]
): Promise<TestServer> {
  return await startNodesOf((...all) => startOne(env, all), flags, asOne)
}

const asOne: Parameters<typeof startNodesOf<TestServer>>[2] = (nodes, shared) => {
  const [first] = nodes
  if (first === undefined) throw new Error('Expected a node')
  const signal = (name: NodeJS.Signals) => {
    for (const node of nodes) node.signal(name)
  }
  const ended = async (ms?: number) => {
    const endings = await Promise.all(nodes.map((node) => node.ended(ms)))
    // They were all there.
    return (endings.find(({ code }) => code !== 0) ?? endings[0]) as Ending
  }
  return {
    ...first,
    ...shared,
    untilStderr: (pattern) => untilLogged(shared, pattern),
    signal,
    ended,
    stop: async (name = 'SIGTERM', ms) => {
      signal(name)
      return await ended(ms)
    },
    residentBytes: async () => {
      const all = await Promise.all(nodes.map((node) => node.residentBytes()))
      return all.reduce((sum, one) => sum + one, 0)
    },
    nodes,
  }
}

/**
 * Starts one whose memory is to be measured. What V8 hasn't collected yet would count as held: up to 64 MiB of what was
 * read, and a young generation of up to 48 MiB, or on Node 24 and 26 of twice that, as V8 finds worth while. So here it
 * collects all the time that it can, and its young generation stays small.
 */
export function startMeasured(...flags: readonly string[]): Promise<TestServer> {
  const own = [STRICT_NODE, '--max-semi-space-size=1', `--import=${COLLECT_OFTEN}`]
  return startServerIn(
    { NODE_OPTIONS: [process.env['NODE_OPTIONS'], ...own].filter(Boolean).join(' ') },
    ...flags,
  )
}

async function startOne(
  env: Readonly<Record<string, string>>,
  flags: readonly string[],
): Promise<TestServer> {
  const args = [ESS_SERVER, '--port', '0', ...flags]
  const program = await run('ess-server', process.execPath, args, {
    env: { ESS_RELAY: process.env['ESS_RELAY'], ESS_WORKERS: process.env['ESS_WORKERS'], ...AT_ONCE, ...env },
    record: ({ stderr }) => recordLog(stderr),
  })
  onTestFinished(() => expectQuietNode('ess-server', program.stderr()))
  const [, url = '', port] = await program.untilStdout(/^listening on (https?:\/\/127\.0\.0\.1:(\d+))\n/)
  return {
    url,
    port: Number(port),
    pid: program.pid,
    stderr: program.stderr,
    untilStdout: program.untilStdout,
    untilStderr: program.untilStderr,
    signal: program.kill,
    ended: program.ended,
    stop: (signal = 'SIGTERM', ms) => {
      program.kill(signal)
      return program.ended(ms)
    },
    residentBytes: async () => {
      const status = await readFile(`/proc/${program.pid}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
    },
  }
}
