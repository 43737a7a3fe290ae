import { type BundleNote, EssError, MAX_TEXT_BYTES, safeFileName, TEXT_TYPE } from '../../shared/index.js'
import { SENDING } from '../../shared/page-words-sending.js'
import type { Body } from '../seal/body.js'
import { blobBody } from './blob-body.js'
import { bundleOf } from './bundle.js'
import type { Chosen } from './chosen.js'

/** What is sent, and what the receiver is told of it. */
export interface Parcel {
  /** The person's own bytes: a tar has more. */
  readonly ownBytes: number
  readonly body: Body
  readonly name: string | undefined
  readonly type: string | undefined
  readonly bundle: BundleNote | undefined
}

/** How many files are tried at the same time. */
const TRIED_AT_ONCE = 32

/** What was chosen: a file as it is, or a bundle. Throws EssError `file-unreadable`, which names the file. */
export async function parcelOf(chosen: Chosen): Promise<Parcel> {
  await tryToRead(chosen)
  const { single } = chosen
  if (single === undefined) {
    const { parts, entries, name } = bundleOf(chosen)
    return {
      ownBytes: chosen.size,
      body: blobBody(parts),
      name: safeFileName(name),
      type: 'application/x-tar',
      bundle: { entries },
    }
  }
  const type = single.type === '' ? undefined : single.type
  return {
    ownBytes: single.size,
    body: blobBody([single]),
    name: safeFileName(single.name),
    type,
    bundle: undefined,
  }
}

/** A text, which the receiver reads. Throws EssError `too-large`. */
export function textParcel(text: string): Parcel {
  const blob = new Blob([text])
  if (blob.size > MAX_TEXT_BYTES) throw new EssError('too-large', SENDING.longText)
  return { ownBytes: blob.size, body: blobBody([blob]), name: undefined, type: TEXT_TYPE, bundle: undefined }
}

/** Before there is a link, as the receiver would wait in vain. Some browsers take a folder for a file that can't be read. */
async function tryToRead({ files }: Chosen): Promise<void> {
  const all = [...files]
  for (let at = 0; at < all.length; at += TRIED_AT_ONCE)
    await Promise.all(all.slice(at, at + TRIED_AT_ONCE).map(([path, file]) => tryOne(path, file)))
}

async function tryOne(path: string, file: File): Promise<void> {
  const start = file.slice(0, 1)
  const { byteLength } = await start.arrayBuffer().catch((cause: unknown) => {
    throw unreadable(path, cause)
  })
  if (byteLength !== start.size) throw unreadable(path, undefined)
}

function unreadable(path: string, cause: unknown): EssError {
  return new EssError('file-unreadable', SENDING.unreadable(path), { cause })
}
