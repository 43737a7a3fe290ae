import type { IncomingHttpHeaders } from 'node:http'
import {
  EssError,
  formatCount,
  HEADERS,
  isSealedNote,
  MAX_SEALED_NOTE,
  parseBundleNote,
} from '../../shared/index.js'

/** What a sender says of its file to the receiver alone. It is passed on as it came, and the server reads none of it. */
export interface Notes {
  /** The field `Ess-Sealed`; undefined for a file that isn't sealed. */
  readonly sealed: string | undefined
  /** The field `Ess-Bundle`; undefined for a file that isn't a bundle, or doesn't say so in the open. */
  readonly bundle: string | undefined
}

/** Reads both fields. Throws EssError `bad-request` for one that is malformed, which no receiver could go by. */
export function notesOf(headers: IncomingHttpHeaders): Notes {
  // Of an unknown field that comes twice, Node joins the values with a comma, which neither of these may have.
  const sealed = headers[HEADERS.essSealed]?.toString()
  const bundle = headers[HEADERS.essBundle]?.toString()
  if (sealed !== undefined && !isSealedNote(sealed)) {
    throw new EssError(
      'bad-request',
      `The field Ess-Sealed must be base64url without padding, of at most ${MAX_SEALED_NOTE} characters. This one has ${formatCount(sealed.length, 'character')}. Check the program that sends it.`,
    )
  }
  if (bundle !== undefined && parseBundleNote(bundle) === undefined) {
    throw new EssError(
      'bad-request',
      `The field Ess-Bundle must be such as tar;entries=12, not ${JSON.stringify(bundle.slice(0, 100))}.`,
    )
  }
  return { sealed, bundle }
}

/**
 * Throws EssError `bad-request` for an upload that says something else than what HEAD has shown already. `known` is
 * what the reservation said, or the sender's first request; undefined for a reservation that said neither field.
 */
export function checkNotes({ sealed, bundle }: Notes, known: Notes | undefined): void {
  if (known === undefined) return
  const isOther =
    (sealed !== undefined && sealed !== known.sealed) || (bundle !== undefined && bundle !== known.bundle)
  if (!isOther) return
  throw new EssError(
    'bad-request',
    'This request has another Ess-Sealed or Ess-Bundle than the one before it, which a receiver may have read. Send the same again, or neither.',
  )
}
