import { PAYLOAD_NONCE_BYTES, TAG_BYTES } from '../../shared/age-payload.js'
import { SEALED_NOTE_KEY_INFO } from '../../shared/sealed.js'
import { encodeNote, joinNote, noteRoom, type SealedNote } from '../../shared/sealed-note.js'
import type { OpenHeader } from './age.js'
import { payloadKey, sealChunk } from './payload.js'

/** Seals a note: the value of `Ess-Sealed`. A name that is too long loses the end of its stem. */
export function sealNote({ header, fileKey }: OpenHeader, note: SealedNote): string {
  const json = encodeNote(note, noteRoom(header.length))
  if (json === undefined) throw new Error(`Expected room for a note beside ${header.length} bytes of header`)
  const nonce = crypto.getRandomValues(new Uint8Array(PAYLOAD_NONCE_BYTES))
  const payload = new Uint8Array(json.length + TAG_BYTES)
  sealChunk(payloadKey(fileKey, nonce, SEALED_NOTE_KEY_INFO), 0, true, json, payload, 0)
  return joinNote({ header, nonce, payload })
}
