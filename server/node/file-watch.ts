import { stat } from 'node:fs/promises'
import { codeOf } from './errno-words.js'

/** How often the files are looked at, unless a test looks more often. */
const LOOK_MS = 1000

/**
 * Reads some files, and tells when any of them has changed and is at rest again. It looks at inode, size and dates, and
 * not by `fs.watch`: that loses a file that an editor replaces, or one behind a link that certbot or Kubernetes moves.
 */
export class FileWatch {
  readonly #paths: readonly string[]
  readonly #restMs: number
  readonly #lookMs: number
  /** The files as they were before they were last read. */
  #known = ''
  /** The files as the last look saw them. */
  #seen = ''
  #reading: Promise<unknown> = Promise.resolve()
  #next: NodeJS.Timeout | undefined
  #isClosed = false

  /** A change is told once the files have stayed the same for `restMs`: a program may still be writing them. */
  constructor(paths: readonly string[], restMs = LOOK_MS, lookMs = LOOK_MS) {
    this.#paths = paths
    this.#restMs = restMs
    this.#lookMs = lookMs
  }

  /** Calls `read`, which reads the files, and settles as it does. One at a time: an older reading must not end last. */
  read<Result>(read: () => Promise<Result>): Promise<Result> {
    const reading = this.#reading.then(async () => {
      // Before the reading, so that a change during it is told.
      this.#known = await marksOf(this.#paths)
      this.#seen = this.#known
      return await read()
    })
    // The caller has the error.
    this.#reading = reading.catch(() => undefined)
    return reading
  }

  /** Calls `changed` after each change, until `close`. It calls `read`, and must not reject. Keeps no process alive. */
  start(changed: () => Promise<void>): void {
    this.#lookIn(this.#lookMs, changed)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#next)
  }

  #lookIn(ms: number, changed: () => Promise<void>): void {
    // It doesn't reject: a file that can't be looked at has marks too.
    this.#next = setTimeout(() => void this.#look(changed), ms).unref()
  }

  async #look(changed: () => Promise<void>): Promise<void> {
    const marks = await marksOf(this.#paths)
    if (this.#isClosed) return
    const isAtRest = marks === this.#seen
    this.#seen = marks
    if (isAtRest && marks !== this.#known) await changed()
    if (!this.#isClosed) this.#lookIn(this.#seen === this.#known ? this.#lookMs : this.#restMs, changed)
  }
}

/** Text that is different after any of the files has changed. A file that isn't there is one of its states. */
async function marksOf(paths: readonly string[]): Promise<string> {
  const marks = paths.map(async (path) => {
    try {
      // The ctime changes with the mode too: the file may become readable, or readable by everyone.
      const { ino, size, mtimeMs, ctimeMs } = await stat(path)
      return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
    } catch (error) {
      return codeOf(error)
    }
  })
  return (await Promise.all(marks)).join()
}
