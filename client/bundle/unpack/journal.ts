import { randomBytes } from 'node:crypto'
import {
  type BigIntStats,
  closeSync,
  constants,
  fstatSync,
  futimesSync,
  lstatSync,
  openSync,
  writeSync,
} from 'node:fs'
import { readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { EssError } from '../../../shared/index.js'
import type { Entry, EntryKind } from '../../../shared/tar-entry.js'
import { USED_UP } from '../../files/unwritable.js'
import { currentBoot, isCurrentBoot } from './boot.js'
import { JOURNAL } from './journal-name.js'

/** An entry, and where in the tar its content begins. */
export interface Noted {
  readonly entry: Entry
  readonly contentAt: number
}

/** What the journal is about. An earlier run's is of no use if it is about something else. */
export interface Subject {
  readonly size: number | undefined
  readonly entries: number
}

/**
 * Notes each entry before it is unpacked, so that another run can go on after this one was killed. What was written is
 * there as long as the system runs on, so nothing is synced; after another boot, nothing is trusted.
 */
export class Journal {
  readonly #path: string
  readonly #fd: number
  readonly #own: BigIntStats
  #isClosed = false

  private constructor(path: string, fd: number) {
    this.#path = path
    this.#fd = fd
    this.#own = fstatSync(fd, { bigint: true })
  }

  /**
   * Begins a journal in this part, with what an earlier one has noted. That one is replaced, so that a run which was only
   * suspended, and wakes up, finds that the part is no longer its own.
   */
  static async begin(part: string, subject: Subject, noted: readonly Noted[]): Promise<Journal> {
    const path = join(part, JOURNAL)
    const fresh = join(part, `${JOURNAL}.${randomBytes(4).toString('hex')}`)
    const fd = openSync(fresh, 'wx', 0o600)
    try {
      await rename(fresh, path)
      const journal = new Journal(path, fd)
      journal.#append(JSON.stringify(headOf(subject)))
      for (const each of noted) journal.note(each)
      return journal
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  note({ entry, contentAt }: Noted): void {
    const { kind, path, size, mode, mtime, target } = entry
    this.#append(JSON.stringify([contentAt, kind, path, size, mode, mtime, target]))
  }

  /** Shows that the part is being written. */
  touch(): void {
    if (this.#isClosed) return
    const now = new Date()
    try {
      futimesSync(this.#fd, now, now)
    } catch {
      // The disk is gone, which the next write will tell.
    }
  }

  /** False if another run has taken the part, or another program has removed it. */
  isOurs(): boolean {
    const found = lstatSync(this.#path, { bigint: true, throwIfNoEntry: false })
    return found?.ino === this.#own.ino && found.dev === this.#own.dev
  }

  /** Throws EssError `file-unwritable` if another run has taken the part, or another program has removed it. */
  expectOurs(): void {
    if (this.isOurs()) return
    const words = `Another program has removed or changed ${dirname(this.#path)} before the download was whole. ${USED_UP}`
    throw new EssError('file-unwritable', words)
  }

  close(): void {
    if (!this.#isClosed) closeSync(this.#fd)
    this.#isClosed = true
  }

  #append(line: string): void {
    // A line that a full disk cuts off is noticed here, and its run ends.
    const bytes = Buffer.from(`${line}\n`, 'latin1')
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done)
  }
}

/** What an earlier run has noted in this part. Undefined if it can't be trusted, or is about something else. */
export async function readJournal(part: string, subject: Subject): Promise<readonly Noted[] | undefined> {
  try {
    const flag = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)
    const text = await readFile(join(part, JOURNAL), { encoding: 'latin1', flag })
    const [head = '', ...lines] = text.split('\n')
    // Behind the last line feed is nothing, or a line that was cut off.
    return isAbout(head, subject) ? lines.slice(0, -1).map(parseLine) : undefined
  } catch {
    // It is none of ours, or the system that wrote it broke down.
    return undefined
  }
}

function headOf({ size, entries }: Subject): readonly unknown[] {
  return [currentBoot(), entries, size ?? null]
}

function isAbout(head: string, subject: Subject): boolean {
  const [boot, ...about] = JSON.parse(head) as unknown[]
  const [, ...expected] = headOf(subject)
  return typeof boot === 'string' && isCurrentBoot(boot) && JSON.stringify(about) === JSON.stringify(expected)
}

/** Only our own journal is read: see `isOwnPart`. */
function parseLine(line: string): Noted {
  const [contentAt, kind, path, size, mode, mtime, target] = JSON.parse(line) as [
    number,
    EntryKind,
    string,
    number,
    number,
    number,
    string,
  ]
  return { contentAt, entry: { kind, path, size, mode, mtime, target } }
}
