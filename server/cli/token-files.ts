import { readFile, stat } from 'node:fs/promises'
import { EssError, formatCount } from '../../shared/index.js'
import { readTrouble } from '../node/errno-words.js'
import { FileWatch } from '../node/file-watch.js'
import type { Access } from '../request/access.js'
import { type Authorize, authorizeBy, type DigestsOf, digestOf } from '../request/tokens.js'

/** An editor may still be writing a file that has changed. */
const REST_MS = 100

/** Characters. A shorter token could be found by trying; `openssl rand -hex 32` makes 64. */
const MIN_TOKEN_LENGTH = 16

/** The token files of one server. */
export interface TokenFiles {
  /** `ServiceOptions.authorize`. An access without a file is open to every client. */
  readonly authorize: Authorize
  /** The hashes of the tokens in use; undefined for an access without a file. */
  readonly digests: DigestsOf
  /** Calls back after each file that was read again and taken. */
  onChange(listener: () => void): void
  /** Reads a file again each time it changes, until `close`. `note` writes a line of the log. */
  watch(note: (message: string) => void): void
  /** Reads all files again now. Never rejects: if a file is of no use, its old tokens stay, and the log says so. */
  reload(): Promise<void>
  close(): void
}

/** Reads the files. Undefined if there are none. Throws EssError `usage` for a file that is of no use. */
export async function openTokenFiles(
  paths: Readonly<Record<Access, string | undefined>>,
): Promise<TokenFiles | undefined> {
  const [send, receive] = await Promise.all([
    paths.send === undefined ? undefined : TokenFile.open('--send-tokens', paths.send),
    paths.receive === undefined ? undefined : TokenFile.open('--receive-tokens', paths.receive),
  ])
  const files = { send, receive }
  const opened = [send, receive].filter((file) => file !== undefined)
  if (opened.length === 0) return undefined
  const digests = (access: Access) => files[access]?.digests
  const authorize = authorizeBy(digests)
  return {
    authorize,
    digests,
    onChange: (listener) => {
      for (const file of opened) file.onChange(listener)
    },
    watch: (note) => {
      for (const file of opened) file.watch(note)
    },
    reload: async () => {
      await Promise.all(opened.map((file) => file.reload()))
    },
    close: () => {
      for (const file of opened) file.close()
    },
  }
}

class TokenFile {
  readonly #flag: string
  readonly #path: string
  readonly #watch: FileWatch
  #tokens: Tokens = NO_TOKENS
  #note: (message: string) => void = () => {}
  #changed: () => void = () => {}

  private constructor(flag: string, path: string) {
    this.#flag = flag
    this.#path = path
    this.#watch = new FileWatch([path], REST_MS)
  }

  static async open(flag: string, path: string): Promise<TokenFile> {
    const file = new TokenFile(flag, path)
    await file.#read()
    return file
  }

  get digests(): readonly Buffer[] {
    return this.#tokens.digests
  }

  onChange(listener: () => void): void {
    this.#changed = listener
  }

  watch(note: (message: string) => void): void {
    this.#note = note
    this.#warn()
    this.#watch.start(() => this.reload())
  }

  async reload(): Promise<void> {
    try {
      await this.#read()
      this.#changed()
      this.#note(`${this.#flag} read again: ${formatCount(this.#tokens.digests.length, 'token')}`)
      this.#warn()
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      this.#note(`${this.#flag} not taken, the old tokens stay: ${error.message}`)
    }
  }

  close(): void {
    this.#watch.close()
  }

  #read(): Promise<void> {
    return this.#watch.read(async () => {
      this.#tokens = await readTokens(this.#flag, this.#path)
    })
  }

  #warn(): void {
    if (this.#tokens.areExposed)
      this.#note(
        `every user of this machine can read the tokens in ${this.#path} (${this.#flag}); run chmod 600, or write their hashes there`,
      )
  }
}

interface Tokens {
  readonly digests: readonly Buffer[]
  readonly areExposed: boolean
}

const NO_TOKENS: Tokens = { digests: [], areExposed: false }

async function readTokens(flag: string, path: string): Promise<Tokens> {
  try {
    const [text, { mode }] = await Promise.all([readFile(path, 'utf8'), stat(path)])
    return {
      digests: parseTokens(text, `${flag} ${path}`),
      // A hash may be read by every user: it opens nothing. A plain token is only warned about, because a container's
      // secrets are often 0444. Windows has no such bits.
      areExposed: process.platform !== 'win32' && (mode & 0o004) !== 0 && /^\s*(?!sha256:|#)\S/im.test(text),
    }
  } catch (error) {
    if (error instanceof EssError) throw error
    throw new EssError(
      'usage',
      `Cannot read the tokens in ${path}: ${readTrouble(error)}. Check the path of ${flag}.`,
    )
  }
}

/**
 * The SHA-256 of each token in a file. A line has one token, plain or as `sha256:` and 64 hex digits (`printf %s TOKEN
 * | sha256sum`). A fast hash is enough, because a token is drawn at random: 128 bits can't be found by trying. After a
 * blank, a line may hold a note. Empty lines and lines that begin with `#` are skipped. Throws EssError `usage` with
 * the number of the line, never with its content.
 */
export function parseTokens(text: string, place: string): readonly Buffer[] {
  const digests = text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .flatMap((line, index) => {
      const [token = ''] = line.trim().split(/\s+/)
      if (token === '' || token.startsWith('#')) return []
      const where = `Line ${index + 1} of ${place}`
      if (/^sha256:/i.test(token)) {
        const [, hex] = /^sha256:([0-9a-f]{64})$/i.exec(token) ?? []
        if (hex === undefined)
          throw new EssError('usage', `${where} must be "sha256:" and 64 hexadecimal digits.`)
        return [Buffer.from(hex, 'hex')]
      }
      if (!/^[\x21-\x7e]+$/.test(token)) throw new EssError('usage', `${where} must be printable ASCII.`)
      if (token.length < MIN_TOKEN_LENGTH)
        throw new EssError(
          'usage',
          `${where} is too short: a token has at least ${MIN_TOKEN_LENGTH} characters. Make one with: openssl rand -hex 32`,
        )
      return [digestOf(token)]
    })
  if (digests.length === 0)
    throw new EssError('usage', `There is no token in ${place}. Make one with: openssl rand -hex 32`)
  return digests
}
