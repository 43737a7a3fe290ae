import { headerEnd } from './age-header.js'
import { PAYLOAD_NONCE_BYTES, TAG_BYTES } from './age-payload.js'
import { fromBase64url, toBase64url } from './base64url.js'
import { type BundleNote, MOST_ENTRIES } from './bundle.js'
import { EssError } from './problems.js'
import { isSealedNote, MAX_SEALED_NOTE } from './sealed.js'

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
  readonly payloadNonce: Uint8Array
  /** Set if the body is a bundle. */
  readonly bundle?: BundleNote | undefined
}

/** The parts of a value of `Ess-Sealed`. */
export interface SealedNoteParts {
  readonly header: Uint8Array
  /** The nonce of the note's own payload, which is not the body's. */
  readonly nonce: Uint8Array
  /** One chunk, the last one. */
  readonly payload: Uint8Array
}

/** The most bytes that a header of that many characters has. */
const MAX_FILE_BYTES = Math.floor((MAX_SEALED_NOTE * 3) / 4)
/** Longer types are not worth their room. */
const MAX_TYPE_LENGTH = 127
const MAX_EXTENSION_LENGTH = 16

/** How many bytes of JSON a note has room for, beside a header of so many bytes. */
export function noteRoom(headerBytes: number): number {
  return MAX_FILE_BYTES - headerBytes - PAYLOAD_NONCE_BYTES - TAG_BYTES
}

/** Writes the value of `Ess-Sealed`. */
export function joinNote({ header, nonce, payload }: SealedNoteParts): string {
  const file = new Uint8Array(header.length + nonce.length + payload.length)
  file.set(header)
  file.set(nonce, header.length)
  file.set(payload, header.length + nonce.length)
  return toBase64url(file)
}

/** Takes the value of `Ess-Sealed` apart. Throws EssError `not-authentic` if it is none. */
export function splitNote(value: string): SealedNoteParts {
  const file = isSealedNote(value) ? fromBase64url(value) : undefined
  const end = file && headerEnd(file)
  if (file === undefined || end === undefined) throw notANote()
  const payloadAt = end + PAYLOAD_NONCE_BYTES
  return {
    header: file.subarray(0, end),
    nonce: file.subarray(end, payloadAt),
    payload: file.subarray(payloadAt),
  }
}

/** The error for what is no note, or not the one that was sealed. */
export function notANote(): EssError {
  return new EssError('not-authentic', 'What the server says of this file is not what its sender encrypted.')
}

/**
 * The note as JSON, with as much of the name as there is room for, which loses the end of its stem. Undefined if even its
 * shortest form has no room. `room` is in bytes.
 */
export function encodeNote(note: SealedNote, room: number): Uint8Array<ArrayBuffer> | undefined {
  for (const name of shorterNames(note.name)) {
    const json = toJson({ ...note, name })
    if (json.length <= room) return json
  }
  return undefined
}

/** The bytes of the note's shortest form. */
export function shortestNoteBytes(note: SealedNote): number {
  return toJson({ ...note, name: shorterNames(note.name).at(-1) }).length
}

/** Reads the JSON of a note. Undefined if it is none. */
export function decodeNote(text: string): SealedNote | undefined {
  const value = parsed(text)
  if (value === undefined) return undefined
  const { name, type, size, nonce, bundle } = value
  const payloadNonce = typeof nonce === 'string' ? fromBase64url(nonce) : undefined
  const isWellFormed =
    isOptional(name, (it) => typeof it === 'string') &&
    isOptional(type, (it) => typeof it === 'string') &&
    isOptional(size, isCount) &&
    isOptional(
      bundle,
      (it) => typeof it === 'object' && it !== null && isEntryCount(Reflect.get(it, 'entries')),
    ) &&
    payloadNonce?.length === PAYLOAD_NONCE_BYTES
  if (!isWellFormed) return undefined
  // The types are those that were just checked.
  return { name, type, size, payloadNonce, bundle } as SealedNote
}

function toJson({ name, type, size, payloadNonce, bundle }: SealedNote): Uint8Array<ArrayBuffer> {
  const note = {
    name,
    type: type !== undefined && type.length > MAX_TYPE_LENGTH ? undefined : type,
    size,
    nonce: toBase64url(payloadNonce),
    bundle: bundle === undefined ? undefined : { entries: bundle.entries },
  }
  return new TextEncoder().encode(JSON.stringify(note))
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

function isEntryCount(value: unknown): boolean {
  return isCount(value) && Number(value) <= MOST_ENTRIES
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
