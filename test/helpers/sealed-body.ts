import { makeHeader } from '../../client/seal/age.js'
import { SEALED_CHUNK_BYTES } from '../../client/seal/payload.js'
import { sealedSource } from '../../client/seal/sealed-source.js'
import type { BundleNote } from '../../shared/index.js'
import { bytesOf } from './bytes.js'
import { bytesSource, newKey, readFrom } from './sealing.js'

/** A sealed transfer as it is on the wire, and what a test has to know of it. */
export interface SealedBody {
  readonly identity: string
  readonly content: Buffer
  /** The value of Ess-Sealed. */
  readonly note: string
  readonly body: Buffer
  /** The length of its header and of its nonce. */
  readonly headerBytes: number
  readonly beginBytes: number
  /** The chunks, with their tags. */
  readonly chunks: readonly Buffer[]
}

export interface SealedBodyOptions {
  /** For whom. Default: a new key. */
  readonly key?: { readonly identity: string; readonly recipient: string }
  /** False does as a stream's sender. Default: true. */
  readonly isSized?: boolean
  readonly seed?: number
  readonly name?: string
  /** Set if it is a bundle. */
  readonly bundle?: BundleNote
}

/** Seals bytes for a key: those that are given, or as many as are said. */
export async function sealedBody(
  what: number | Buffer,
  options: SealedBodyOptions = {},
): Promise<SealedBody> {
  const { key = await newKey(), isSized = true, seed, name = 'film.mkv', bundle } = options
  const { identity, recipient } = key
  const header = await makeHeader({ recipients: [recipient] })
  const content = typeof what === 'number' ? bytesOf(what, seed) : what
  const facts = { bundle, ...(!isSized && { size: undefined }) }
  const source = sealedSource(bytesSource(content, facts), name, header)
  const body = await readFrom(source, 0)
  const headerBytes = header.header.length
  const beginBytes = headerBytes + 16
  const chunks: Buffer[] = []
  for (let at = beginBytes; at < body.length; at += SEALED_CHUNK_BYTES)
    chunks.push(body.subarray(at, at + SEALED_CHUNK_BYTES))
  if (source.sealed === undefined) throw new Error('Expected a note')
  return { identity, content, note: source.sealed, body, headerBytes, beginBytes, chunks }
}
