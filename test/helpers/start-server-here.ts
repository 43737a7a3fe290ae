import { PassThrough } from 'node:stream'
import { onTestFinished } from 'vitest'
import { run } from '../../server/cli/run.js'
import { recordLog } from './suite-logs.js'
import { DEADLINE_MS, within } from './within.js'

/** An `ess-server` that runs in the test's own process. */
export interface ServerHere {
  readonly port: number
  /** As SIGTERM does, and resolves with the exit status. */
  stop(): Promise<number>
}

/**
 * Starts the command `ess-server` with these flags on a free port, as main.ts would, in this process: where a test is
 * about the wire, that spares it half a second of another process. It stops when the test is over. It relays by the
 * gear that the project of this run is about.
 */
export async function startServerHere(...flags: readonly string[]): Promise<ServerHere> {
  const stdout = new PassThrough()
  const stderr = new PassThrough().setEncoding('utf8')
  let log = ''
  stderr.on('data', (text: string) => {
    log += text
  })
  const stops: (() => void)[] = []
  const status = run(['--port', '0', ...flags], {
    stdout,
    stderr,
    env: { ESS_RELAY: process.env['ESS_RELAY'] },
    onStop: (listener) => void stops.push(listener),
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
  const listening = new Promise<number>((resolve) => {
    let said = ''
    stdout.on('data', (text: Buffer) => {
      said += text
      const [, port] = /^listening on https?:\/\/127\.0\.0\.1:(\d+)\n/.exec(said) ?? []
      if (port !== undefined) resolve(Number(port))
    })
  })
  return {
    port: await within(DEADLINE_MS, 'ess-server listens', Promise.race([listening, failed])),
    stop: () => {
      isStopped = true
      return stop()
    },
  }
}
