import { constants, openSync, writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { isatty } from 'node:tty'
import { codeOf } from '../node/errno-words.js'

const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants

/** How often a terminal that took nothing is tried again. */
const RETRY_MS = 100

/** A stream that may be a terminal. */
export interface TerminalStream extends Writable {
  readonly fd?: number
  readonly columns?: number
}

/**
 * Writes to the terminal behind `stderr` without ever waiting for it. Node's own write to a terminal holds up the whole
 * process, and with it the transfer and every signal, while the terminal takes nothing: after Ctrl-S, or when the
 * connection to it (SSH) hangs.
 */
export class TerminalOutput {
  readonly #stderr: TerminalStream
  readonly #fd: number | undefined
  #unwritten = Buffer.alloc(0)
  #retry: NodeJS.Timeout | undefined

  constructor(stderr: TerminalStream) {
    this.#stderr = stderr
    this.#fd = openAgain(stderr.fd)
  }

  /** Undefined where it is not known, and 0 where the terminal doesn't know. */
  get columns(): number | undefined {
    return this.#stderr.columns
  }

  /** True while the terminal takes nothing. */
  get isHeldUp(): boolean {
    return this.#unwritten.length > 0
  }

  write(text: string): void {
    if (this.#fd === undefined) {
      this.#stderr.write(text)
      return
    }
    this.#unwritten = Buffer.concat([this.#unwritten, Buffer.from(text)])
    this.#flush(this.#fd)
  }

  /** Calls back when the window has another size. Returns what takes the listener off. */
  onResize(listener: () => void): () => void {
    this.#stderr.on('resize', listener)
    return () => void this.#stderr.off('resize', listener)
  }

  #flush(fd: number): void {
    clearTimeout(this.#retry)
    try {
      while (this.#unwritten.length > 0)
        this.#unwritten = this.#unwritten.subarray(writeSync(fd, this.#unwritten))
    } catch (error) {
      if (codeOf(error) === 'EAGAIN') this.#retry = setTimeout(() => this.#flush(fd), RETRY_MS)
      // EIO: the terminal is gone.
      else this.#unwritten = Buffer.alloc(0)
    }
  }
}

/**
 * A descriptor of our own for the terminal: that it never waits must not hold for the programs that share it with us.
 * Linux alone opens it anew under this name; elsewhere, and where the terminal is another user's (`su`), there is none.
 */
function openAgain(fd: number | undefined): number | undefined {
  if (fd === undefined || process.platform !== 'linux' || !isatty(fd)) return undefined
  try {
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY)
  } catch {
    // Then Node's own write has to do.
    return undefined
  }
}
