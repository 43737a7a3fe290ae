import { isForPassphrase } from '../../shared/age-header.js'
import { EssError } from '../../shared/index.js'
import type { OpenHeader } from '../seal/age.js'
import { identityKind } from '../seal/keys.js'
import { headerOfNote, readNote, type SealedNote } from '../seal/sealed-note.js'

/** Asks for a password. `attempt` is 1 at first, and one more after each wrong one. Undefined gives up. */
export type AskPassphrase = (attempt: number) => Promise<string | undefined> | string | undefined

export interface KeyringOptions {
  readonly identities: readonly string[]
  readonly passphrase: string | AskPassphrase | undefined
  /** True if a key came with the link. Its sender is an `ess`, which seals the name too. Default: false. */
  readonly isFromLink?: boolean
  /** True if nothing is acceptable that is not sealed, even without a key. Default: false. */
  readonly isStrict?: boolean
}

/** A note that was opened, and the header that it shares with the body. */
export interface OpenNote {
  readonly note: SealedNote
  readonly header: OpenHeader
}

/** The keys of one download. Makes sure that each password is asked for once. */
export class Keyring {
  readonly #identities: readonly string[]
  readonly #passphrase: string | AskPassphrase | undefined
  readonly #isStrict: boolean
  /** True if a name is only believed if it was sealed. */
  readonly sealsNames: boolean
  /** The last note, because HEAD and GET have the same. */
  #opened: { readonly value: string; readonly note: OpenNote } | undefined

  /** Throws EssError `usage` for an identity that is none. */
  constructor({ identities, passphrase, isFromLink = false, isStrict = false }: KeyringOptions) {
    for (const identity of identities) identityKind(identity)
    this.#identities = identities
    this.#passphrase = passphrase
    this.sealsNames = isFromLink
    this.#isStrict = isStrict || typeof passphrase === 'string'
  }

  /** True if nothing is acceptable that is not sealed: there is a key, or the server has shown a note, or it was said. */
  get isNeeded(): boolean {
    return this.#identities.length > 0 || this.#isStrict || this.hasNote
  }

  /** True if the server has shown a note, and it was opened. */
  get hasNote(): boolean {
    return this.#opened !== undefined
  }

  /** Opens the value of `Ess-Sealed`. Throws EssError `key-required`, `wrong-key` or `not-authentic`. */
  async openNote(value: string): Promise<OpenNote> {
    if (this.#opened?.value === value) return this.#opened.note
    const header = await this.openHeader(headerOfNote(value))
    const note = { header, note: readNote(value, header.fileKey) }
    this.#opened = { value, note }
    return note
  }

  /** Opens the header of an age file. Throws the same errors as `openNote`. */
  async openHeader(header: Buffer): Promise<OpenHeader> {
    if (isForPassphrase(header)) return await this.#openByPassphrase(header)
    if (this.#identities.length === 0) throw keyRequired(this.#isStrict)
    return await open(header, this.#identities, undefined)
  }

  async #openByPassphrase(header: Buffer): Promise<OpenHeader> {
    if (this.#passphrase === undefined) throw passphraseRequired()
    if (typeof this.#passphrase === 'string') return await open(header, [], this.#passphrase)
    let wrong: { readonly passphrase: string; readonly error: unknown } | undefined
    for (let attempt = 1; ; attempt++) {
      const passphrase = await this.#passphrase(attempt)
      if (passphrase === undefined) throw wrong?.error ?? passphraseRequired()
      // A function that knows only one would be asked for ever.
      if (passphrase === wrong?.passphrase) throw wrong.error
      try {
        return await open(header, [], passphrase)
      } catch (error) {
        if (!(error instanceof EssError) || error.code !== 'wrong-key') throw error
        wrong = { passphrase, error }
      }
    }
  }
}

async function open(
  header: Buffer,
  identities: readonly string[],
  passphrase: string | undefined,
): Promise<OpenHeader> {
  // Only now: it takes as long to load as all the rest.
  const { openHeader } = await import('../seal/age.js')
  return await openHeader(header, { identities, passphrase })
}

function keyRequired(hasPassphrase: boolean): EssError {
  if (hasPassphrase)
    return new EssError(
      'key-required',
      'This file is encrypted for a key, and a password does not open it. Name the file with your secret key: -i FILE.',
    )
  return new EssError(
    'key-required',
    'This file is encrypted, and there is no key. Copy the whole link, with all that is behind its #, and put it in quotes. If it was encrypted for a key of yours, name its file: -i FILE.',
  )
}

function passphraseRequired(): EssError {
  return new EssError(
    'key-required',
    'This file is encrypted with a password, and you gave none. Say --password to type it.',
  )
}
