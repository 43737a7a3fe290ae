/** What is about to be saved. */
export interface Saved {
  readonly name: string
  /** Bytes; undefined if not known. */
  readonly size: number | undefined
  readonly type: string
}

/** A place for one file. Nothing may look like the file there before `close`. */
export interface Sink {
  /** Resolves when there is room for more. Throws EssError `file-unwritable`, or `interrupted` if the person has stopped it there. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>
  /** All bytes have come, and are right. Resolves with what the person can do now. */
  close(): Promise<Done>
  /** False if something is missing, which only this sink can tell. Default: true. */
  isWhole?(): boolean
  /** Leaves nothing that looks like the file. Never rejects, and may be called in any state but after `close`. */
  abort(): Promise<void>
}

/** How a file was saved. */
export type Done =
  | { readonly way: 'disk'; readonly name: string }
  /** The browser copies it to its downloads, and can do so again from this URL. */
  | { readonly way: 'downloads'; readonly url: string; readonly name: string }
  | { readonly way: 'shown' }
  | { readonly way: 'folder'; readonly name: string }

/** A way to save. The person has chosen it by a click, and nothing was asked of the server yet. */
export interface Way {
  /** Begins, when the head of the file is here, and it is known what comes. */
  open(saved: Saved): Promise<Sink>
  /** Undoes what was done before `open`. Never rejects. */
  drop(): Promise<void>
}
