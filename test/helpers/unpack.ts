import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import type { Sink } from '../../client/ends/sink.js'
import { openBundleSink } from '../../client/receive/bundle-sink.js'
import { ended } from '../../client/receive/write-blocks.js'
import { EssError } from '../../shared/index.js'
import { countEntries } from './tar.js'
import { DEADLINE_MS, within } from './within.js'

export const PART_ID = 'Abc123'

export interface Terms {
  /** Default: as many as there are. */
  readonly entries?: number
  /** Undefined if it isn't announced. Default: the tar's. */
  readonly size?: number | undefined
  readonly force?: boolean
  /** The link's id. */
  readonly id?: string
  /** The path that the bundle gets. Default: each thing in it gets its own name in the folder. */
  readonly file?: string
  /** How long it may take. */
  readonly ms?: number
}

/** A sink for this tar in a folder, or at a path. */
export async function sinkFor(folder: string, tar: Buffer, terms: Terms = {}): Promise<Sink> {
  const { entries = countEntries(tar), force = false, id = PART_ID, file } = terms
  return await openBundleSink(
    { path: file ?? join(folder, 'photos'), isInFolder: file === undefined, folder },
    { size: 'size' in terms ? terms.size : tar.length, bundle: { entries } },
    force,
    { id, isFresh: false, signal: undefined },
  )
}

/** Writes bytes in pieces of these lengths, in turn, from memory that is used again, as the client does. */
export async function pour(sink: Sink, bytes: Buffer, lengths: readonly number[]): Promise<void> {
  const block = Buffer.alloc(Math.max(...lengths))
  let turn = 0
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(lengths[turn % lengths.length] ?? 1, bytes.length - at)
    bytes.copy(block, 0, at, at + length)
    await new Promise<void>((resolve, reject) => {
      sink.writable.write(block.subarray(0, length), (error) => (error ? reject(error) : resolve()))
    })
    block.fill(0xa5)
    at += length
    turn += 1
  }
}

/** Takes the rest of `tar`, and completes it. Resolves with what `commit` tells. */
export async function takeRest(
  sink: Sink,
  tar: Buffer,
  lengths: readonly number[],
): Promise<EssError | undefined> {
  await pour(sink, tar.subarray(sink.begun ?? 0), lengths)
  await ended(sink)
  return await sink.commit()
}

/** Unpacks all of it, or tells why not; then nothing is left behind. */
export async function unpack(
  folder: string,
  tar: Buffer,
  terms: Terms = {},
  lengths = [64 * 1024],
): Promise<EssError | undefined> {
  const sink = await sinkFor(folder, tar, terms)
  sink.writable.on('error', () => {}) // The write that fails tells of it.
  try {
    return await within(terms.ms ?? DEADLINE_MS, 'the bundle is unpacked', takeRest(sink, tar, lengths))
  } catch (error) {
    await sink.discard(true)
    if (error instanceof EssError) return error
    throw error
  }
}

/** Leaves the part as a run that was killed some time ago. */
export async function leaveAsKilled(sink: Sink): Promise<string | undefined> {
  sink.writable.destroy()
  await finished(sink.writable).catch(() => {}) // It did not end.
  const part = await sink.keep()
  await sink.discard(part === undefined)
  // A part that was touched a moment ago would be watched for seconds.
  if (part !== undefined) await utimes(join(part, 'journal'), 1, 1)
  return part
}
