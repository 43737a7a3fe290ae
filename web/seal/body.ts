/** A sequence of bytes that can be read again from any offset. */
export interface Body {
  readonly size: number
  /**
   * The bytes from one offset to another one. Throws EssError `file-changed` or `file-unreadable` rather than give other
   * bytes than before.
   */
  read(from: number, to: number): Promise<Uint8Array<ArrayBuffer>>
  /** Where a piece that begins at `from`, and should have some `bytes`, ends best. */
  pieceEnd(from: number, bytes: number): number
  /**
   * Throws EssError `file-changed` if a file that was read is another one by now, and the browser has not noticed. It takes at
   * most some `ms`. Call it before the last byte goes out.
   */
  confirm(ms: number): Promise<void>
}
