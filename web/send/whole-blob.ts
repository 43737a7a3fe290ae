import { EssError, formatBytes } from '../../shared/index.js'
import { SENDING } from '../../shared/page-words-sending.js'
import type { Body } from '../seal/body.js'
import { PIECE_BYTES } from './piece.js'

/** What a browser can be expected to keep of a file that it has sealed. */
const MAX_BYTES = 1024 ** 3

/** The whole body, for a server that takes no pieces. Throws EssError `too-large`, or what the body throws. */
export async function wholeBlob(body: Body, signal: AbortSignal): Promise<Blob> {
  if (body.size > MAX_BYTES) {
    throw new EssError('too-large', SENDING.tooLargeAtOnce(formatBytes(MAX_BYTES)))
  }
  const parts: Blob[] = []
  for (let from = 0; from < body.size; ) {
    signal.throwIfAborted()
    const to = body.pieceEnd(from, PIECE_BYTES)
    // A Blob, so that the browser may put it on the disk.
    parts.push(new Blob([await body.read(from, to)]))
    from = to
  }
  return new Blob(parts)
}
