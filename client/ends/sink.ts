import type { Writable } from 'node:stream'
import type { EssError } from '../../shared/index.js'

/** Where the bytes of one download are written. */
export interface Sink {
  /** Takes the bytes. If `ends` is true, it is ended after the last one; else it is flushed. */
  readonly writable: Writable
  readonly ends: boolean
  /** True if it wants every byte at once, and false or undefined if it wants large blocks. */
  readonly isLive?: boolean | undefined
  /** The file's final path; undefined for a stream. */
  readonly path: string | undefined
  /** The names of what was unpacked into the folder `path`, once it is there; undefined for what is no bundle. */
  readonly names?: readonly string[] | undefined
  /** Bytes of an earlier run that are there already; undefined if there was none. */
  readonly begun: number | undefined
  /**
   * Completes the download: the file gets its name. Throws EssError `file-unwritable` if bytes were lost. If every
   * byte is there and only the name can't be had, it resolves with an EssError that says where the bytes are.
   */
  commit(): Promise<EssError | undefined>
  /**
   * Makes sure that another run can go on from what was written. Resolves with the file that has it, or undefined for a
   * stream.
   */
  keep(): Promise<string | undefined>
  /** Leaves nothing behind but what was kept: now, or by an earlier run unless the transfer `isOver`. */
  discard(isOver: boolean): Promise<void>
}
