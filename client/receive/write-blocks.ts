import { finished } from 'node:stream/promises'
import type { TwoBlocks } from '../node/two-blocks.js'
import { type Sink, written } from './sink.js'

/**
 * Writes all of `blocks`. Each block waits until the one before it is written, because its memory is used again.
 * Rejects if either side fails, with its error.
 */
export async function writeBlocks(blocks: TwoBlocks, { writable, ends }: Sink): Promise<void> {
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
  try {
    for (;;) {
      // A file is written in whole blocks; a stream's reader wants every byte at once.
      const block = await blocks.next(!ends)
      if (block === undefined) break
      await unlessBroken(written(writable, block))
    }
    if (ends) await unlessBroken(finished(writable.end()))
    writable.off('error', onError)
  } catch (error) {
    // The listener stays, because a stream may report its failure after the write did.
    if (ends) writable.destroy()
    throw error
  }
}
