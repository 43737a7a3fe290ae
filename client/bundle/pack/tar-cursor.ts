import { closeSync, read, readSync } from 'node:fs'
import { promisify } from 'node:util'
import { EssError, formatCount } from '../../../shared/index.js'
import { changed, checkAsSeen, openEntry, unreadable } from './as-seen.js'
import type { Entry, FileEntry } from './entry.js'
import { headerLength, writeHeader } from './header.js'
import type { Layout } from './layout.js'
import { Slices } from './slices.js'

const readLater = promisify(read)

/** A read up to this is done at once, because waking a thread takes longer than copying the bytes. */
const SMALL_BYTES = 128 * 1024

/** A place in the tar, which moves on as its bytes are made. At most one file is open. */
export class TarCursor {
  readonly #layout: Layout
  readonly #slices = new Slices()
  #offset: number
  /** The entry at the offset. */
  #index: number
  #headerLength = 0
  #fd: number | undefined
  #isStopped = false
  #filling: Promise<unknown> | undefined

  constructor(layout: Layout, offset: number) {
    this.#layout = layout
    this.#offset = offset
    this.#index = layout.indexAt(offset)
    this.#enter()
  }

  /**
   * Fills `memory` with the next bytes. Resolves with the part that is filled: all but for the end of the tar. Throws
   * EssError `file-changed` or `file-unreadable`, before the last byte of that file is out.
   */
  fill(memory: Buffer): Promise<Buffer> {
    const filling = this.#fill(memory)
    // `stop` waits for it. The caller gets its failure.
    this.#filling = filling.catch(() => {})
    return filling
  }

  /** Ends the call of `fill` that is under way, and closes the open file. */
  async stop(): Promise<void> {
    this.#isStopped = true
    // A number that is closed may name another file, and a read under way would read that one.
    await this.#filling
    this.#close()
  }

  async #fill(memory: Buffer): Promise<Buffer> {
    await this.#slices.next()
    let length = 0
    while (length < memory.length && this.#offset < this.#layout.size) {
      if (this.#slices.isOver) await this.#slices.next()
      if (this.#isStopped) throw new EssError('file-unreadable', 'It was closed while it was read.')
      const room = memory.subarray(length)
      const entry = this.#layout.entries[this.#index]
      const bytes = this.#part(entry, room) ?? (await this.#readLarge(entry as FileEntry, room))
      length += bytes
      this.#offset += bytes
      if (entry !== undefined && this.#offset === this.#layout.startOf(this.#index + 1)) {
        this.#index++
        this.#enter()
      }
    }
    return memory.subarray(0, length)
  }

  #enter(): void {
    const entry = this.#layout.entries[this.#index]
    this.#headerLength = entry === undefined ? 0 : headerLength(entry)
  }

  /** Writes the part of the tar that is at the offset, as far as it fits. Undefined for much of a file. */
  #part(entry: Entry | undefined, room: Buffer): number | undefined {
    if (entry === undefined) return zeros(room, this.#layout.size - this.#offset)
    const at = this.#offset - this.#layout.startOf(this.#index)
    if (at < this.#headerLength) return this.#header(entry, at, room)
    if (entry.kind === 'file' && at < this.#headerLength + entry.size) {
      const wanted = this.#wanted(entry, room)
      return wanted.length <= SMALL_BYTES ? this.#readSmall(entry, wanted) : undefined
    }
    return zeros(room, this.#layout.startOf(this.#index + 1) - this.#offset)
  }

  #header(entry: Entry, at: number, room: Buffer): number {
    const bytes = Math.min(this.#headerLength - at, room.length)
    if (bytes === this.#headerLength) writeHeader(entry, room.subarray(0, bytes))
    else {
      const whole = Buffer.alloc(this.#headerLength)
      writeHeader(entry, whole)
      whole.copy(room, 0, at, at + bytes)
    }
    // Nothing else would notice that an empty file has grown.
    if (entry.kind === 'file' && entry.size === 0 && at + bytes === this.#headerLength) {
      checkAsSeen(entry, this.#open(entry))
      this.#close()
    }
    return bytes
  }

  #position(): number {
    return this.#offset - this.#layout.startOf(this.#index) - this.#headerLength
  }

  /** The memory for the next bytes of a file. */
  #wanted(entry: FileEntry, room: Buffer): Buffer {
    return room.subarray(0, entry.size - this.#position())
  }

  #readSmall(entry: FileEntry, wanted: Buffer): number {
    const fd = this.#open(entry)
    try {
      return this.#taken(entry, fd, readSync(fd, wanted, 0, wanted.length, this.#position()))
    } catch (error) {
      throw failed(entry, fd, error)
    }
  }

  async #readLarge(entry: FileEntry, room: Buffer): Promise<number> {
    const wanted = this.#wanted(entry, room)
    const fd = this.#open(entry)
    try {
      const { bytesRead } = await readLater(fd, wanted, 0, wanted.length, this.#position())
      return this.#taken(entry, fd, bytesRead)
    } catch (error) {
      throw failed(entry, fd, error)
    }
  }

  #open(entry: FileEntry): number {
    this.#fd ??= openEntry(entry)
    return this.#fd
  }

  /**
   * Checks what was read. A write sets the file's time before it changes a byte, so what was read before this check is what
   * the walk saw.
   */
  #taken(entry: FileEntry, fd: number, bytes: number): number {
    checkAsSeen(entry, fd)
    const position = this.#position() + bytes
    if (position === entry.size) this.#close()
    // A file system may not know yet that the file is shorter.
    else if (bytes === 0)
      throw changed(entry, `it had ${formatCount(entry.size, 'byte')}, and now ${position}`)
    return bytes
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}

/** The error for a read that failed. What has taken the file's place may be nothing that can be read. */
function failed(entry: FileEntry, fd: number, error: unknown): unknown {
  if (error instanceof EssError) return error
  checkAsSeen(entry, fd)
  return unreadable(entry, error)
}

/** Writes zeros, at most `bytes`. */
function zeros(room: Buffer, bytes: number): number {
  return room.subarray(0, bytes).fill(0).length
}
