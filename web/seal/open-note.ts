import { SEALED_NOTE_KEY_INFO } from '../../shared/sealed.js'
import { decodeNote, notANote, type SealedNote, splitNote } from '../../shared/sealed-note.js'
import type { OpenHeader } from './age.js'
import { openChunk, payloadKey } from './payload.js'

/** Reads the value of `Ess-Sealed` with its header's file key. Throws EssError `not-authentic`. */
export function readNote(value: string, { fileKey }: OpenHeader): SealedNote {
  const { nonce, payload } = splitNote(value)
  const json = openChunk(payloadKey(fileKey, nonce, SEALED_NOTE_KEY_INFO), 0, true, payload)
  const note = json && decodeNote(new TextDecoder().decode(json))
  if (note === undefined) throw notANote()
  return note
}
