import type { BundleNote } from '../../shared/index.js'

/** The bytes to send, and the facts known about them beforehand. */
export interface Source {
  /** The file's name; undefined for a stream. */
  readonly name: string | undefined
  /** Bytes; undefined for a stream or a device, which ends when it ends. */
  readonly size: number | undefined
  /** Its Content-Type. Default: `application/octet-stream`. */
  readonly type?: string | undefined
  /** Set if it is a tar that an `ess` receiver unpacks. */
  readonly bundle?: BundleNote | undefined
  /** Set if the bytes are sealed: the value of the header `Ess-Sealed`. Then the name and the type are in it. */
  readonly sealed?: string | undefined
  /** True if you may call `read` again, for the same bytes from the first one on. Default: false. */
  readonly isRepeatable?: boolean
  /**
   * How many bytes `read` can go back from the furthest that was read: Infinity for a file. Undefined if it reads from
   * the first byte alone, and then a cut ends the transfer.
   */
  readonly reach?: number
  /**
   * Starts to read, from this offset on (default: 0). Throws EssError `file-unreadable`, or `file-changed` before the last byte is out. A block of a
   * file is valid until you ask for the next one; then its memory is used again.
   */
  read(from?: number): AsyncGenerator<Uint8Array>
  /** Closes the file or the stream, read or not. */
  close(): Promise<void>
}
