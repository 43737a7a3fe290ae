import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { EssError } from '../../shared/index.js'
import { USED_UP, unwritable } from '../files/unwritable.js'
import { CutError } from '../node/intake.js'
import type { TwoBlocks } from '../node/two-blocks.js'
import { type Sink, written } from './sink.js'

/**
 * Writes all of `blocks`. Each block waits until the one before it is written, because its memory is used again.
 * `onWritten` is called with the length of each that is. Rejects if either side fails, with its error; the sink stays
 * open. With `goesOn`, everything that came before a cut is written first, because the next bytes follow it.
 */
export async function writeBlocks(
  blocks: TwoBlocks,
  { writable, isLive = false }: Sink,
  onWritten: (bytes: number) => void,
  goesOn: boolean,
): Promise<void> {
  // One wait at a time, and one listener for all of them: a race for each block would keep them all until the end.
  let giveUp: (error: unknown) => void = () => {}
  const onError = (error: unknown) => giveUp(error)
  blocks.failure.catch(onError)
  writable.on('error', onError)
  const unlessBroken = (work: Promise<void>) =>
    new Promise<void>((resolve, reject) => {
      giveUp = reject
      work.then(resolve, reject)
    })
  const write = async (block: Buffer) => {
    await written(writable, block)
    onWritten(block.length)
  }
  try {
    for (;;) {
      // A file is written in whole blocks; a stream's reader wants every byte at once.
      const block = await blocks.next(isLive)
      if (block === undefined) break
      await (goesOn ? write(block) : unlessBroken(write(block)))
    }
  } catch (error) {
    // A slow connection that is cut again and again would otherwise never fill a block.
    if (goesOn && error instanceof CutError) for (const block of blocks.left()) await write(block)
    throw error
  } finally {
    writable.off('error', onError)
  }
}

/**
 * Writes all that `body` gives, at the sink's pace. `onWritten` is called with the length of each chunk, which the sink
 * writes unless it fails. Rejects if either side fails, with its error; the sink stays open.
 */
export async function writeChunks(
  body: Readable,
  { writable }: Sink,
  onWritten: (bytes: number) => void,
): Promise<void> {
  const broken = new AbortController()
  const onError = (error: unknown) => broken.abort(error)
  writable.on('error', onError)
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      // A stream that failed takes what it is given, without a word.
      if (writable.errored) throw writable.errored
      const hasRoom = writable.write(chunk)
      onWritten(chunk.length)
      if (!hasRoom)
        await once(writable, 'drain', { signal: broken.signal }).catch((error: unknown) => {
          throw broken.signal.reason ?? writable.errored ?? error
        })
    }
  } finally {
    writable.off('error', onError)
  }
}

/** Ends the sink, and resolves when everything is written. */
export async function ended({ writable, path }: Sink): Promise<void> {
  await finished(writable.end()).catch((error: unknown) => {
    throw lost(path, error)
  })
}

/** Resolves when a sink that stays open has written all that it got. */
export async function flushed({ writable, path }: Sink): Promise<void> {
  // When this empty write is done, everything before it was handed on.
  await written(writable, '').catch((error: unknown) => {
    throw lost(path, error)
  })
}

/** The error for bytes that the sink at `path` did not take. It may be one of its own. */
export function lost(path: string | undefined, error: unknown): EssError {
  return error instanceof EssError ? error : unwritable(path, error, USED_UP)
}
