/** For whom a transfer is encrypted. Give one of both. */
export interface Encryption {
  /** Public keys, such as `age1…`. Whoever has the secret key of one of them can open it. */
  readonly recipients?: readonly string[] | undefined
  /** A passphrase, which the receiver must type. */
  readonly passphrase?: string | undefined
}

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
  /**
   * Encrypts from end to end, in the format of age (age-encryption.org/v1). `true` makes a key for this transfer, which is
   * in the fragment of the link that `opened` tells. With recipients or a passphrase, the link holds no key. Default:
   * not encrypted.
   */
  readonly encrypt?: boolean | Encryption | undefined
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
  encrypt: true,
  signal: true,
} as const satisfies Record<keyof SendOptions, true>
