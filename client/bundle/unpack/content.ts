import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  write,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'
import type { Entry } from '../../../shared/tar-entry.js'
import { fileTime } from './file-time.js'
import type { LocalPath } from './local-path.js'
import { OWN_FILE_BITS } from './own-bits.js'

const writeLater = promisify(write)
/** A smaller piece is written at once: that takes less time than to wait for another thread. */
const SMALL_BYTES = 64 * 1024
/** A run of zeros that fills blocks of this size needs no room on the disk. */
const HOLE_BYTES = 4096
const HOLE = Buffer.alloc(HOLE_BYTES)

/** A file that is being unpacked. */
export class Content {
  readonly #fd: number
  readonly #entry: Entry
  #position: number
  /** How far the file reaches. Zeros at its end may not be written yet. */
  #reach: number

  private constructor(fd: number, entry: Entry, position: number) {
    this.#fd = fd
    this.#entry = entry
    this.#position = position
    this.#reach = position
  }

  /** Creates the file, which must not exist. */
  static create(path: LocalPath, entry: Entry): Content {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW
    return new Content(openSync(path, flags, entry.mode | OWN_FILE_BITS), entry, 0)
  }

  /** Opens the file of an earlier run behind its first `position` bytes. */
  static reopen(path: LocalPath, entry: Entry, position: number): Content {
    return new Content(openSync(path, constants.O_WRONLY | NO_FOLLOW), entry, position)
  }

  /** Writes the next bytes. Gives a promise if that takes a moment; don't touch the file or the bytes before it is kept. */
  write(data: Buffer): Promise<void> | undefined {
    if (data.length > SMALL_BYTES) return this.#writeLarge(data)
    for (const piece of this.#written(data)) writeAllSync(this.#fd, piece.data, piece.at)
    return undefined
  }

  async #writeLarge(data: Buffer): Promise<void> {
    for (const { data: rest, at } of this.#written(data))
      for (let done = 0; done < rest.length; )
        done += (await writeLater(this.#fd, rest, done, rest.length - done, at + done)).bytesWritten
  }

  /** The pieces of `data` that are no holes, and where they go. */
  *#written(data: Buffer): Generator<{ data: Buffer; at: number }> {
    let from = 0
    // Holes begin at whole blocks of the file.
    let at = (HOLE_BYTES - (this.#position % HOLE_BYTES)) % HOLE_BYTES
    for (; at + HOLE_BYTES <= data.length; at += HOLE_BYTES) {
      if (!isHole(data, at)) continue
      if (at > from) yield this.#piece(data.subarray(from, at), from)
      from = at + HOLE_BYTES
    }
    if (from < data.length) yield this.#piece(data.subarray(from), from)
    this.#position += data.length
  }

  #piece(data: Buffer, from: number): { data: Buffer; at: number } {
    const at = this.#position + from
    this.#reach = at + data.length
    return { data, at }
  }

  /** Gives the file its length, mode and time. */
  finish(): void {
    const { mode, mtime, size } = this.#entry
    if (this.#reach < size) ftruncateSync(this.#fd, size)
    if ((mode & OWN_FILE_BITS) !== OWN_FILE_BITS) fchmodSync(this.#fd, fstatSync(this.#fd).mode & mode)
    futimesSync(this.#fd, fileTime(mtime), fileTime(mtime))
    this.close()
  }

  close(): void {
    closeSync(this.#fd)
  }
}

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0

function isHole(data: Buffer, at: number): boolean {
  return data[at] === 0 && data.compare(HOLE, 0, HOLE_BYTES, at, at + HOLE_BYTES) === 0
}

function writeAllSync(fd: number, data: Buffer, at: number): void {
  for (let done = 0; done < data.length; ) done += writeSync(fd, data, done, data.length - done, at + done)
}
