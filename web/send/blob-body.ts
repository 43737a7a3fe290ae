import { EssError } from '../../shared/index.js'
import type { Body } from '../seal/body.js'

/** The bytes of a Blob. Those of a file on the disk are read when they are asked for. */
export function blobBody(blob: Blob): Body {
  return {
    size: blob.size,
    async read(from, to) {
      const bytes = await blob
        .slice(from, to)
        .arrayBuffer()
        .catch((cause: unknown) => {
          throw changed(cause)
        })
      // A file that lost its end gives what is left.
      if (bytes.byteLength !== to - from) throw changed(undefined)
      return new Uint8Array(bytes)
    },
    pieceEnd: (from, bytes) => Math.min(from + bytes, blob.size),
  }
}

function changed(cause: unknown): EssError {
  return new EssError(
    'file-changed',
    'The file was changed, moved or deleted while it was sent. Choose it again when no program writes to it.',
    { cause },
  )
}
