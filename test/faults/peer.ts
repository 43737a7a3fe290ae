/** The head of a request, in whatever version of HTTP. */
export interface RequestHead {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** The file that follows; without one, the request has no body. */
  readonly file?: OutgoingFile
}

/** What a sender sends: at once, up to the middle, up to the last byte, and all. */
export interface OutgoingFile {
  readonly firstHalf: Buffer
  readonly secondHalf: Buffer
  /** False: its length is not declared. */
  readonly isDeclared: boolean
}

/** How far a file is sent. */
export type Mark = 'midway' | 'last' | 'end'

/** The answer to a request, as far as it has come. */
export interface Answer {
  readonly status: number
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** The answer's own end has come, in good order. */
  readonly isComplete: boolean
}

/** One side of a transfer, on a connection of its own, that does exactly what it is told. */
export interface Peer {
  /** How a response without an end is ended, that is not a download. */
  readonly brokenBy: 'fin' | 'rst'
  request(head: RequestHead): void
  /** Sends the file up to there; what the kernel does not take waits. */
  sendTo(mark: Mark): void
  /** Undefined before its head is there. */
  answer(): Answer | undefined
  /** How the other side ended the connection, or the request on it; undefined while it lives. */
  ended(): 'fin' | 'rst' | undefined
  /** Closes in good order: a receiver's confirmation. */
  close(): void
  /** Whatever is left of it is no more. */
  destroy(): void
}
