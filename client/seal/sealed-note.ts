import { randomBytes } from 'node:crypto'
import {
  type BundleNote,
  EssError,
  isSealedNote,
  MAX_SEALED_NOTE,
  SEALED_NOTE_KEY_INFO,
} from '../../shared/index.js'
import type { OpenHeader } from './age.js'
import { headerEnd, recipientTypes } from './header.js'
import { openChunk, PAYLOAD_NONCE_BYTES, payloadKey, sealChunk, TAG_BYTES } from './payload.js'

/**
 * What a sender says of its sealed body, in the header `Ess-Sealed`. That is the header of the body's own age file, a nonce,
 * and one chunk of JSON: who can open the one can open the other, and neither goes with anything else. Its key is made for
 * notes alone, so that neither can be taken for the other.
 */
export interface SealedNote {
  /** The file's name; undefined for a stream. As the sender wrote it: make it safe before you use it. */
  readonly name?: string | undefined
  /** Its Content-Type; undefined if it was not told. */
  readonly type?: string | undefined
  /** Bytes before they were sealed; undefined for a stream. */
  readonly size?: number | undefined
  /** The first 16 bytes behind the body's header. */
  readonly payloadNonce: Buffer
  /** Set if the body is a bundle. */
  readonly bundle?: BundleNote | undefined
}

/** The most bytes that a header of that many characters has. */
const MAX_FILE_BYTES = Math.floor((MAX_SEALED_NOTE * 3) / 4)
/** Longer types are not worth their room. */
const MAX_TYPE_LENGTH = 127
const MAX_EXTENSION_LENGTH = 16
/** The first and the last line of a header. */
const HEADER_BYTES_OF_NONE = 70

/**
 * Seals a note: the value of `Ess-Sealed`. A name that is too long loses the end of its stem. Throws EssError `usage` if
 * there are too many recipients.
 */
export function sealNote({ header, fileKey }: OpenHeader, note: SealedNote): string {
  const room = MAX_FILE_BYTES - header.length - PAYLOAD_NONCE_BYTES - TAG_BYTES
  const json = toJson(note, room)
  if (json === undefined) throw tooManyRecipients(header, note)
  const nonce = randomBytes(PAYLOAD_NONCE_BYTES)
  const file = Buffer.alloc(header.length + nonce.length + json.length + TAG_BYTES)
  file.set(header)
  file.set(nonce, header.length)
  sealChunk(
    payloadKey(fileKey, nonce, SEALED_NOTE_KEY_INFO),
    0,
    true,
    json,
    file,
    header.length + nonce.length,
  )
  return file.toString('base64url')
}

/** Gives the age header in the value of `Ess-Sealed`. Throws EssError `not-authentic` if there is none. */
export function headerOfNote(value: string): Buffer {
  return split(value).header
}

/** Reads the value of `Ess-Sealed` with its header's file key. Throws EssError `not-authentic`. */
export function readNote(value: string, fileKey: Buffer): SealedNote {
  const { nonce, payload } = split(value)
  const json = openChunk(payloadKey(fileKey, nonce, SEALED_NOTE_KEY_INFO), 0, true, payload)
  const note = json === undefined ? undefined : fromJson(json.toString())
  if (note === undefined) throw notANote()
  return note
}

function split(value: string): { readonly header: Buffer; readonly nonce: Buffer; readonly payload: Buffer } {
  const file = Buffer.from(value, 'base64url')
  if (!isSealedNote(value) || file.toString('base64url') !== value) throw notANote()
  const end = headerEnd(file)
  if (end === undefined) throw notANote()
  const payloadAt = end + PAYLOAD_NONCE_BYTES
  return {
    header: file.subarray(0, end),
    nonce: file.subarray(end, payloadAt),
    payload: file.subarray(payloadAt),
  }
}

/** The note as JSON, with as much of the name as there is room for. Undefined if even its shortest form has no room. */
function toJson(note: SealedNote, room: number): Buffer | undefined {
  for (const name of shorterNames(note.name)) {
    const json = encode({ ...note, name })
    if (json.length <= room) return json
  }
  return undefined
}

function encode({ name, type, size, payloadNonce, bundle }: SealedNote): Buffer {
  const note = {
    name,
    type: type !== undefined && type.length > MAX_TYPE_LENGTH ? undefined : type,
    size,
    nonce: payloadNonce.toString('base64url'),
    bundle: bundle === undefined ? undefined : { entries: bundle.entries },
  }
  return Buffer.from(JSON.stringify(note))
}

/** A name, and what is left of it if it loses one character after the other, but for its extension. */
function shorterNames(name: string | undefined): (string | undefined)[] {
  if (name === undefined) return [undefined]
  const dot = name.lastIndexOf('.')
  const extension = dot > 0 && name.length - dot <= MAX_EXTENSION_LENGTH ? name.slice(dot) : ''
  const stem = [...name.slice(0, name.length - extension.length)]
  return [
    name,
    ...stem.slice(1).map(
      (_, lost) =>
        stem
          .slice(0, -1 - lost)
          .join('')
          .trimEnd() + extension,
    ),
  ]
}

function fromJson(text: string): SealedNote | undefined {
  const value = parsed(text)
  if (value === undefined) return undefined
  const { name, type, size, nonce, bundle } = value
  const payloadNonce = typeof nonce === 'string' ? Buffer.from(nonce, 'base64url') : undefined
  const isWellFormed =
    isOptional(name, (it) => typeof it === 'string') &&
    isOptional(type, (it) => typeof it === 'string') &&
    isOptional(size, isCount) &&
    isOptional(
      bundle,
      (it) => typeof it === 'object' && it !== null && isCount(Reflect.get(it, 'entries')),
    ) &&
    payloadNonce?.length === PAYLOAD_NONCE_BYTES &&
    payloadNonce.toString('base64url') === nonce
  if (!isWellFormed) return undefined
  // The types are those that were just checked.
  return { name, type, size, payloadNonce, bundle } as SealedNote
}

function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    // Any object can be asked for a member; the caller checks the value.
    return typeof value === 'object' && value !== null
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    // The caller says so.
    return undefined
  }
}

function isOptional(value: unknown, is: (value: unknown) => boolean): boolean {
  return value === undefined || is(value)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function notANote(): EssError {
  return new EssError('not-authentic', 'What the server says of this file is not what its sender sealed.')
}

function tooManyRecipients(header: Buffer, note: SealedNote): EssError {
  const count = recipientTypes(header).length
  // They are of one kind, and then each takes the same room.
  const each = (header.length - HEADER_BYTES_OF_NONE) / count
  const shortest = encode({ ...note, name: shorterNames(note.name).at(-1) })
  const room = MAX_FILE_BYTES - HEADER_BYTES_OF_NONE - PAYLOAD_NONCE_BYTES - TAG_BYTES - shortest.length
  const most = Math.floor(room / each)
  return new EssError(
    'usage',
    `These are ${count} recipients, and there is room for ${most} of their kind. Send it to ${most} at a time.`,
  )
}
