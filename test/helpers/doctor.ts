import type { CauseName } from '../../client/doctor/causes.js'
import type { Line } from '../../client/doctor/doctor.js'
import { ess, type RunSettings } from './client-io.js'
import { runEss } from './run-ess.js'

/** What `ess doctor` found. */
export interface Examined {
  readonly status: number
  /** The causes of the problems, in the order of the report. */
  readonly problems: readonly CauseName[]
  /** Every line that mends one, as `PLACE: LINE`. */
  readonly mends: readonly string[]
  readonly lines: readonly Line[]
  readonly report: string
}

/** Runs `ess doctor --json` in this process. */
export async function examined(url: string, settings: RunSettings = {}): Promise<Examined> {
  const run = ess(['doctor', '--json', url], settings)
  const status = await run.status
  const report = run.stdout() + run.stderr()
  return { status, report, ...read(run.stdout()) }
}

/** Reads the report of `ess doctor --json`. */
export function read(stdout: string): Pick<Examined, 'problems' | 'mends' | 'lines'> {
  const lines = stdout
    .split('\n')
    .filter((line) => line !== '')
    // It is what our own command prints.
    .map((line) => JSON.parse(line) as Line)
  const wrong = lines.filter(({ verdict }) => verdict === 'problem')
  return {
    lines,
    problems: wrong.flatMap(({ cause }) => (cause === undefined ? [] : [cause])),
    mends: wrong.flatMap(({ mend }) => mend.map(({ place, line }) => `${place}: ${line}`)),
  }
}

/** Runs it in a process of its own, for what only the environment says. */
export async function examinedByProcess(
  url: string,
  env: Readonly<Record<string, string>>,
): Promise<Examined> {
  const program = await runEss(undefined, ['doctor', '--json', url], { env })
  const { code, stdout, stderr } = await program.ended()
  return { status: code ?? -1, report: stdout.toString() + stderr, ...read(stdout.toString()) }
}
