import { constants, openSync, writeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { isatty } from 'node:tty'
import { codeOf } from '../node/errno-words.js'

const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants

/** How often we try again to write to a terminal that took nothing. */
const RETRY_MS = 100

/** A stream that may be a terminal. */
export interface TerminalStream extends Writable {
  readonly fd?: number
  readonly columns?: number
}

/**
 * Writes to the terminal behind `stderr` and never waits for it. After Ctrl-S, or when SSH hangs, a terminal takes
 * nothing. Node's own write would then hold up the whole process, and with it the transfer and every signal.
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

  /** Undefined if `stderr` is no terminal, and 0 if the terminal doesn't know. */
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

  /** Calls `listener` when the window changes its size. Returns a function that removes it. */
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
 * Opens the terminal again, for a descriptor of our own: other programs share the old one, and must not get writes
 * that fail instead of waiting. Undefined if that can't be done: on systems other than Linux, and for another user's
 * terminal (`su`).
 */
function openAgain(fd: number | undefined): number | undefined {
  if (fd === undefined || process.platform !== 'linux' || !isatty(fd)) return undefined
  try {
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY)
  } catch {
    // Node's own write has to do.
    return undefined
  }
}
