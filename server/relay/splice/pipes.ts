import type { Libc } from './libc.js'

/** A pipe, the only thing that splice(2) can move a socket's bytes into. */
export interface Pipe {
  readonly readEnd: number
  readonly writeEnd: number
  /** Bytes that fit in at most. */
  readonly capacity: number
  /** Bytes that are in it. */
  held: number
}

/** What a pipe is asked to hold: the most that the kernel grants without privileges, unless it was configured. */
const WANTED_BYTES = 1024 * 1024
/** Below this it is not worth asking: a new pipe has as much, when its user has not too many already. */
const LEAST_BYTES = 64 * 1024

/** Spare pipes that are kept while there are jobs; each is two descriptors. */
const MAX_SPARE = 64

/**
 * The worker's pipes. A job has one only while bytes of it are in there, so that many jobs with receivers that
 * keep up share one: what all pipes of a user may hold together is limited (pipe-user-pages-soft: 64 MiB).
 */
export class Pipes {
  readonly #libc: Libc
  readonly #spare: Pipe[] = []
  /** The largest capacity that was granted so far. */
  #best = 0

  constructor(libc: Libc) {
    this.#libc = libc
  }

  /** An empty pipe. Throws when there can't be one more. */
  take(): Pipe {
    return this.#spare.pop() ?? this.#open()
  }

  /** Takes a pipe back; one with bytes in it, or a poor one of a time when no better was granted, is closed. */
  giveBack(pipe: Pipe): void {
    const isWorthKeeping = pipe.held === 0 && pipe.capacity >= this.#best && this.#spare.length < MAX_SPARE
    if (isWorthKeeping) this.#spare.push(pipe)
    else this.#close(pipe)
  }

  /** Closes the spare ones. */
  clear(): void {
    for (const pipe of this.#spare.splice(0)) this.#close(pipe)
  }

  #open(): Pipe {
    const { readEnd, writeEnd } = this.#libc.pipe()
    // EPERM: more than pipe-max-size, or more than a user may have in pipes.
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
