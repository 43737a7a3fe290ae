export interface SendOptions {
  /** The server's URL, with its base path if it has one. Default: `http://127.0.0.1:9000`. */
  readonly server?: string | URL | undefined
  /**
   * The token for a server with --send-tokens; printable ASCII without spaces. It goes to `server` and to no other
   * origin. Default: none.
   */
  readonly token?: string | undefined
  /** The name of the receiver's file. Default: the name of the file that is sent; none for a stream. */
  readonly name?: string | undefined
  /** Seconds to wait for a receiver, at most the server's own limit. Default: the server's limit. */
  readonly ttl?: number | undefined
  /**
   * True reserves first and uploads in a second request, for proxies that pass no early response (nginx). Default:
   * false; if the server or such a proxy asks for a reservation, `send` makes one by itself.
   */
  readonly reserve?: boolean | undefined
  /** Aborting it resets the connection; the verdict is then `interrupted`. */
  readonly signal?: AbortSignal | undefined
}

/** The known options. Callers without types may misspell one, which is refused. */
export const SEND_OPTIONS = {
  server: true,
  token: true,
  name: true,
  ttl: true,
  reserve: true,
  signal: true,
} as const satisfies Record<keyof SendOptions, true>
