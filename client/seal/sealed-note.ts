import { randomBytes } from 'node:crypto'
import { recipientTypes } from '../../shared/age-header.js'
import { EssError, formatCount, SEALED_NOTE_KEY_INFO } from '../../shared/index.js'
import {
  decodeNote,
  encodeNote,
  joinNote,
  notANote,
  noteRoom,
  type SealedNote,
  shortestNoteBytes,
  splitNote,
} from '../../shared/sealed-note.js'
import type { OpenHeader } from './age.js'
import { openChunk, PAYLOAD_NONCE_BYTES, payloadKey, sealChunk, TAG_BYTES } from './payload.js'

export type { SealedNote } from '../../shared/sealed-note.js'

/** The first and the last line of a header. */
const HEADER_BYTES_OF_NONE = 70

/**
 * Seals a note: the value of `Ess-Sealed`. A name that is too long loses the end of its stem. Throws EssError `usage` if
 * there are too many recipients.
 */
export function sealNote({ header, fileKey }: OpenHeader, note: SealedNote): string {
  const json = encodeNote(note, noteRoom(header.length))
  if (json === undefined) throw tooManyRecipients(header, note)
  const nonce = randomBytes(PAYLOAD_NONCE_BYTES)
  const payload = Buffer.alloc(json.length + TAG_BYTES)
  sealChunk(payloadKey(fileKey, nonce, SEALED_NOTE_KEY_INFO), 0, true, json, payload, 0)
  return joinNote({ header, nonce, payload })
}

/** Gives the age header in the value of `Ess-Sealed`. Throws EssError `not-authentic` if there is none. */
export function headerOfNote(value: string): Buffer {
  return Buffer.from(splitNote(value).header)
}

/** Reads the value of `Ess-Sealed` with its header's file key. Throws EssError `not-authentic`. */
export function readNote(value: string, fileKey: Buffer): SealedNote & { readonly payloadNonce: Buffer } {
  const { nonce, payload } = splitNote(value)
  const json = openChunk(payloadKey(fileKey, nonce, SEALED_NOTE_KEY_INFO), 0, true, payload)
  const note = json === undefined ? undefined : decodeNote(json.toString())
  if (note === undefined) throw notANote()
  return { ...note, payloadNonce: Buffer.from(note.payloadNonce) }
}

function tooManyRecipients(header: Buffer, note: SealedNote): EssError {
  const count = recipientTypes(header).length
  // They are of one kind, and then each takes the same room.
  const each = (header.length - HEADER_BYTES_OF_NONE) / count
  const most = Math.floor((noteRoom(HEADER_BYTES_OF_NONE) - shortestNoteBytes(note)) / each)
  return new EssError(
    'usage',
    `These are ${formatCount(count, 'recipient')}, and there is room for ${most} of their kind. Send it to ${most} at a time.`,
  )
}
