import type { Libc } from './libc.js'

/** A pipe: splice(2) can't move a socket's bytes into anything else. */
export interface Pipe {
  readonly readEnd: number
  readonly writeEnd: number
  /** How many bytes fit in at most. */
  readonly capacity: number
  /** How many bytes are in it. */
  held: number
}

/** How large a pipe we ask for: the most that the kernel grants without privileges, by default. */
const WANTED_BYTES = 1024 * 1024
/** Don't ask for less than this: a new pipe has as much, unless its user has too many already. */
const LEAST_BYTES = 64 * 1024

/** How many spare pipes are kept while there are jobs. Each costs two descriptors. */
const MAX_SPARE = 64

/**
 * The worker's pipes. A job has one only while its bytes are in there, so that many jobs whose receivers keep up share
 * one: all pipes of a user together are limited (pipe-user-pages-soft: 64 MiB).
 */
export class Pipes {
  readonly #libc: Libc
  readonly #spare: Pipe[] = []
  /** The largest capacity that was granted so far. */
  #best = 0

  constructor(libc: Libc) {
    this.#libc = libc
  }

  /** Returns an empty pipe. Throws if there can't be one more. */
  take(): Pipe {
    return this.#spare.pop() ?? this.#open()
  }

  /** Takes a pipe back. Closes it if bytes are in it, or if it is smaller than the kernel has granted since. */
  giveBack(pipe: Pipe): void {
    const isWorthKeeping = pipe.held === 0 && pipe.capacity >= this.#best && this.#spare.length < MAX_SPARE
    if (isWorthKeeping) this.#spare.push(pipe)
    else this.#close(pipe)
  }

  /** Closes the spare pipes. */
  clear(): void {
    for (const pipe of this.#spare.splice(0)) this.#close(pipe)
  }

  #open(): Pipe {
    const { readEnd, writeEnd } = this.#libc.pipe()
    // It fails with EPERM beyond pipe-max-size, or beyond what a user may have in pipes.
    for (let bytes = WANTED_BYTES; bytes > LEAST_BYTES; bytes /= 2) {
      if (this.#libc.resizePipe(writeEnd, bytes) >= 0) break
    }
    const capacity = this.#libc.pipeSize(writeEnd)
    this.#best = Math.max(this.#best, capacity)
    return { readEnd, writeEnd, capacity, held: 0 }
  }

  #close({ readEnd, writeEnd }: Pipe): void {
    this.#libc.close(readEnd)
    this.#libc.close(writeEnd)
  }
}
