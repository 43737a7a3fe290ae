import { EssError } from '../../shared/index.js'
import { kindOf } from '../../shared/option-names.js'

/** Who can open an encrypted transfer. Give one of the two. */
export interface Encryption {
  /**
   * Public keys of age: `age1…` or, against quantum computers, `age1pq1…`; not both. The secret key of any of them opens
   * it. There is room for some twenty of the first kind, and for one of the second.
   */
  readonly recipients?: readonly string[] | undefined
  /** A passphrase, which the receiver must know. It is worth as much as it is hard to guess: take six random words. */
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
  /**
   * The name of the receiver's file or folder; of several things, that of their tar. Default: the name of the file that is
   * sent; none for a stream.
   */
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
  /**
   * Of a folder or several files: patterns of what is left out, as in a .gitignore file at the top of each folder. When you
   * name several files or folders, those whose own name matches are left out too. Default: none.
   */
  readonly exclude?: readonly string[] | undefined
  /**
   * True leaves out of a folder what git ignores by the .gitignore files in it and above it and by .git/info/exclude, and `.git`
   * itself. Your own global patterns don't count, so that the same folder is the same bundle for everyone. A file that git
   * tracks although a pattern matches it is left out too. Default: false.
   */
  readonly gitignore?: boolean | undefined
  /**
   * Of a folder: true sends what symbolic links lead to, wherever that is, so a link to a secret sends the secret. Default:
   * false, the links themselves; then one that leads out of what is sent is refused.
   */
  readonly followLinks?: boolean | undefined
  /**
   * Called when the server is there and takes nothing at this moment (it is being restarted, or a proxy can't reach it), each
   * time before `send` tries again: with the seconds for which it goes on trying, 10 at first, and the reason. Nothing was
   * read by then, and there is no link. Default: you are not told.
   */
  readonly onAway?: ((secondsLeft: number, reason: EssError) => void) | undefined
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
  exclude: true,
  gitignore: true,
  followLinks: true,
  onAway: true,
  signal: true,
} as const satisfies Record<keyof SendOptions, true>

/** The same for its option `encrypt`. */
export const ENCRYPTION = {
  recipients: true,
  passphrase: true,
} as const satisfies Record<keyof Encryption, true>

/** Throws EssError `usage` for patterns that leave nothing out, which a caller without types may pass. */
export function checkExclude(exclude: unknown): asserts exclude is SendOptions['exclude'] {
  if (exclude === undefined) return
  if (!Array.isArray(exclude))
    throw new EssError('usage', `send: exclude must be an array of patterns, not ${kindOf(exclude)}.`)
  const wrong = exclude.find((pattern) => typeof pattern !== 'string' || pattern.trim() === '')
  if (wrong !== undefined)
    throw new EssError(
      'usage',
      `send: each pattern in exclude must say something, and one is ${kindOf(wrong)}.`,
    )
}
