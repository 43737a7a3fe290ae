import type { Readable, Writable } from 'node:stream'
import type { JobControl } from './job-control.js'
import type { TerminalStream } from './terminal-output.js'

/** What the command has of the outside world; a test gives its own. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly fd?: number }
  readonly stderr: TerminalStream & { readonly isTTY?: boolean }
  readonly env: Readonly<Record<string, string | undefined>>
  /** The folder that relative paths start from; undefined where it is gone. */
  readonly cwd: string | undefined
  /** Aborted when the user interrupts; its reason is the name of the signal. */
  readonly signal: AbortSignal
  /** How the terminal is shared with a shell. Default: it is ours alone. */
  readonly job?: JobControl
}
