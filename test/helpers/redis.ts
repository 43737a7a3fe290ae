import { onTestFinished, type TestContext } from 'vitest'
import { freePort } from './free-port.js'
import { needs } from './needs.js'
import { type Program, run } from './run.js'
import { tempDir } from './temp-dir.js'
import { DEADLINE_MS } from './within.js'

/** A real Redis on loopback, with nothing in it and nothing of it on a disk. */
export interface TestRedis {
  readonly port: number
  readonly url: string
  /** Runs redis-cli, and resolves to what it printed. Rejects when Redis refused, or isn't there. */
  cli(...args: readonly string[]): Promise<string>
  /** Ends it, at once unless said otherwise, with all that it knows. Resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again, empty, on the same port. */
  start(): Promise<void>
  /** It hangs: the kernel still takes connections and bytes for it. */
  freeze(): void
  thaw(): void
}

/** Skips the test where redis-server isn't installed, but not in CI. */
export function needsRedis(context: TestContext): void {
  needs(context, 'redis-server', 'redis-cli')
}

/** Starts a Redis with these lines of configuration, such as `--requirepass`. It is stopped when the test is over. */
export async function startRedis(...flags: readonly string[]): Promise<TestRedis> {
  const port = await freePort()
  const folder = await tempDir()
  let program: Program | undefined
  const start = async () => {
    const config = [
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
      '--dir',
      folder,
    ]
    program = await run('redis-server', 'redis-server', [...config, ...flags])
    await program.untilStdout(/Ready to accept connections/)
  }
  const stop = async (signal: NodeJS.Signals = 'SIGKILL') => {
    program?.kill(signal)
    await program?.ended(DEADLINE_MS)
  }
  await start()
  onTestFinished(() => stop())
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    start,
    stop,
    freeze: () => program?.kill('SIGSTOP'),
    thaw: () => program?.kill('SIGCONT'),
    cli: async (...args) => {
      const cli = await run('redis-cli', 'redis-cli', ['-e', '-p', String(port), ...args])
      const { code, stdout, stderr } = await cli.ended()
      if (code !== 0) throw new Error(`redis-cli ${args.join(' ')} failed: ${stdout}${stderr}`)
      return stdout.toString().trim()
    },
  }
}
