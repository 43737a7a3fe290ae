import { onTestFinished } from 'vitest'
import { expectQuietNode } from './child-env.js'
import { type Ending, type Program, run } from './run.js'
import { ESS_SERVER } from './start-server.js'
import { recordLog } from './suite-logs.js'

/** An `ess-server` that can end and start again at the same port. */
export interface RestartedServer {
  /** The log of its present process. */
  stderr(): string
  /** Starts it, and resolves when it listens. */
  start(): Promise<void>
  signal(signal: NodeJS.Signals): void
  ended(ms?: number): Promise<Ending>
}

/** One that is not started yet. The test fails if any of its processes leaves a Node warning or a stack trace on stderr. */
export function restartedServer(name: string, port: number, ...flags: readonly string[]): RestartedServer {
  let program: Program | undefined
  const running = () => {
    if (program === undefined) throw new Error(`${name} was not started`)
    return program
  }
  return {
    stderr: () => running().stderr(),
    async start() {
      const own = await run(name, process.execPath, [ESS_SERVER, '--port', String(port), ...flags], {
        env: { ESS_RELAY: process.env['ESS_RELAY'] },
        record: ({ stderr }) => recordLog(stderr),
      })
      program = own
      onTestFinished(() => expectQuietNode(name, own.stderr()))
      await own.untilStdout(/^listening on /)
    },
    signal: (signal) => running().kill(signal),
    ended: (ms) => running().ended(ms),
  }
}
