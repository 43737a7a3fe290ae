import type { Readable, Writable } from 'node:stream'
import type { JobControl } from './job-control.js'
import type { TerminalStream } from './terminal-output.js'

/** What the command uses of the outside world. Tests pass their own. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean; readonly fd?: number }
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly fd?: number; readonly columns?: number }
  readonly stderr: TerminalStream & { readonly isTTY?: boolean; readonly rows?: number }
  readonly env: Readonly<Record<string, string | undefined>>
  /** The folder that relative paths start from; undefined if it is gone. */
  readonly cwd: string | undefined
  /** Aborted when the user interrupts. The reason is the name of the signal. */
  readonly signal: AbortSignal
  /** How we share the terminal with a shell. Default: it is ours alone. */
  readonly job?: JobControl
}
