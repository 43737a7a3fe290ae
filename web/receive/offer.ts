import { damaged, headerEnd } from '../../shared/age-header.js'
import {
  type BundleNote,
  DEFAULT_CONTENT_TYPE,
  EssError,
  isTextType,
  MAX_TEXT_BYTES,
  parseBundleNote,
  safeFileName,
} from '../../shared/index.js'
import { notANote, splitNote } from '../../shared/sealed-note.js'
import { load } from '../http/load.js'
import { makeSeal, type Seal, sizeInside } from '../seal/open-body.js'
import type { Keys } from '../seal/open-header.js'
import { readNote } from '../seal/open-note.js'

/** What the server says of a link's file. */
export interface Known {
  readonly id: string
  readonly name?: string | undefined
  /** Bytes of the body, sealed or not. */
  readonly size?: number | undefined
  readonly type: string
  /** The value of `Ess-Sealed`. */
  readonly note?: string | undefined
  /** The value of `Ess-Bundle`. */
  readonly bundle?: string | undefined
}

/** The file that a person can have. */
export interface Offer {
  readonly id: string
  /** Made safe. */
  readonly name: string
  /** Bytes of the file itself; undefined if the sender doesn't know. */
  readonly size: number | undefined
  readonly type: string
  readonly bundle: BundleNote | undefined
  /** True for a text that is meant to be read at once: it has no name, and at most 1 MiB. */
  readonly isText: boolean
  readonly sealed: Sealed
}

export type Sealed =
  | { readonly by: 'nothing' }
  /** The note was opened. */
  | { readonly by: 'note'; readonly note: string; readonly seal: Seal }
  /**
   * The server says of no seal, and there is a key: then the body itself must be a file of age that it opens. So a server
   * that drops the note gains nothing.
   */
  | { readonly by: 'body'; readonly keys: Keys }

/** A file that is not sealed. */
export function plainOffer({ id, name, size, type, bundle }: Known): Offer {
  const note = bundle === undefined ? undefined : parseBundleNote(bundle)
  return {
    id,
    name: nameOf(id, name),
    size,
    type,
    bundle: note,
    isText: isText({ name, size, type, bundle: note }),
    sealed: { by: 'nothing' },
  }
}

/**
 * Opens the note of a sealed file. Nothing of the link is used up. Throws EssError `wrong-key` or `not-authentic`.
 */
export async function sealedOffer({ id, size: bodySize }: Known, value: string, keys: Keys): Promise<Offer> {
  const { openHeader } = await load(import('../seal/open-header.js'))
  const header = await openHeader(splitNote(value).header, keys)
  const note = readNote(value, header)
  const seal = makeSeal(header, note.payloadNonce)
  const size = sizeInside(seal, bodySize) ?? note.size
  if (note.size !== undefined && size !== note.size) throw notANote()
  const { name, type = DEFAULT_CONTENT_TYPE, bundle } = note
  return {
    id,
    name: nameOf(id, name),
    size,
    type,
    bundle,
    isText: isText({ name, size, type, bundle }),
    sealed: { by: 'note', note: value, seal },
  }
}

/** A file that must be one of age, as `age -r … | curl -T -` sends it, of which only the body can tell. */
export function ageFileOffer({ id }: Known, keys: Keys): Offer {
  return {
    id,
    // The server may have taken a sealed name away, and chosen the one in the open.
    name: nameOf(id, undefined),
    size: undefined,
    type: DEFAULT_CONTENT_TYPE,
    bundle: undefined,
    isText: false,
    sealed: { by: 'body', keys },
  }
}

/**
 * Opens the begin of a body that must be a file of age. Undefined if more of it is needed. Throws EssError `wrong-key` or
 * `not-authentic`.
 */
export async function openBegin(begin: Uint8Array, keys: Keys): Promise<Seal | undefined> {
  const end = headerEnd(begin)
  const nonceEnd = (end ?? Number.POSITIVE_INFINITY) + 16
  if (begin.length < nonceEnd) return undefined
  const { openHeader } = await load(import('../seal/open-header.js'))
  return makeSeal(await openHeader(begin.slice(0, end), keys), begin.slice(end, nonceEnd))
}

/** Throws EssError `not-authentic` if the answer is about another file than the offer. */
export function expectSame({ sealed }: Offer, note: string | undefined): void {
  const expected = sealed.by === 'note' ? sealed.note : undefined
  if (sealed.by !== 'nothing' && note !== expected) throw damaged('is another one than before')
  if (sealed.by === 'nothing' && note !== undefined) throw new EssError('key-required')
}

function nameOf(id: string, name: string | undefined): string {
  return safeFileName(name ?? '') ?? `ess-${id}`
}

function isText({
  name,
  size = Number.POSITIVE_INFINITY,
  type,
  bundle,
}: {
  readonly name: string | undefined
  readonly size: number | undefined
  readonly type: string
  readonly bundle: BundleNote | undefined
}): boolean {
  return name === undefined && size <= MAX_TEXT_BYTES && isTextType(type) && bundle === undefined
}
