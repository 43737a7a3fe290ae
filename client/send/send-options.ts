export interface SendOptions {
  /** The server's URL, with its base path if it has one. Default: `http://127.0.0.1:9000`. */
  readonly server?: string | URL | undefined
  /**
   * What the server wants of senders where it was started with --send-tokens; printable ASCII without spaces. It is
   * sent to `server` and to no other origin. Default: none.
   */
  readonly token?: string | undefined
  /** The name for the receiver's file. Default: the file's own; none for a stream. */
  readonly name?: string | undefined
  /** Seconds to wait for a receiver, at most the server's own limit. Default: the server's. */
  readonly ttl?: number | undefined
  /**
   * True reserves first and uploads by a request of its own, for a way on which an early response does not get
   * through (nginx). Default: false; it comes to the same by itself where the server, or such a proxy, wants it.
   */
  readonly reserve?: boolean | undefined
  /** Aborting it resets the connection; the verdict is then `interrupted`. */
  readonly signal?: AbortSignal | undefined
}

/** For callers without types: a misspelt option is refused. */
export const SEND_OPTIONS = {
  server: true,
  token: true,
  name: true,
  ttl: true,
  reserve: true,
  signal: true,
} as const satisfies Record<keyof SendOptions, true>
