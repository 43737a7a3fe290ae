import { PassThrough, type Readable, Writable } from 'node:stream'
import { run } from '../../client/cli/cli.js'
import type { Io } from '../../client/cli/io.js'
import { DEADLINE_MS, within } from './within.js'

/** A run of `ess` in this process, on plain streams. */
export interface Run {
  /** The exit status. */
  readonly status: Promise<number>
  stdout(): string
  stderr(): string
  /** Waits until stdout matches. */
  untilStdout(pattern: RegExp): Promise<void>
  /** What Ctrl-C does. */
  interrupt(): void
}

export interface RunSettings {
  readonly stdin?: Readable
  readonly stdout?: Writable
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** Makes stderr a terminal. */
  readonly isWatched?: boolean
}

/** Runs `ess` with these arguments. */
export function ess(argv: readonly string[], settings: RunSettings = {}): Run {
  const out = new Collected()
  const err = settings.isWatched ? new FakeTerminal() : new Collected()
  const interrupt = new AbortController()
  const io: Io = {
    stdin: settings.stdin ?? new PassThrough().end(),
    stdout: settings.stdout ?? out,
    stderr: err,
    env: settings.env ?? {},
    cwd: settings.cwd ?? '/',
    signal: interrupt.signal,
  }
  return {
    status: within(DEADLINE_MS, `ess ${argv.join(' ')} ends`, run(argv, io)),
    stdout: () => out.text,
    stderr: () => err.text,
    untilStdout: (pattern) => within(DEADLINE_MS, `ess writes ${pattern}`, out.until(pattern)),
    interrupt: () => interrupt.abort(),
  }
}

class Collected extends Writable {
  text = ''
  #look = () => {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.text += chunk.toString()
    this.#look()
    callback()
  }

  until(pattern: RegExp): Promise<void> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (pattern.test(this.text)) resolve()
      }
      this.#look()
    })
  }
}

/** What is asked of a terminal. */
class FakeTerminal extends Collected {
  readonly isTTY = true
  readonly columns = 100
}
