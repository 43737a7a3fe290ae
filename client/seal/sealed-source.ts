import { randomBytes } from 'node:crypto'
import { SealedTags } from '../../shared/sealed-tags.js'
import type { Source } from '../ends/source.js'
import type { OpenHeader } from './age.js'
import { CHUNK_BYTES, PAYLOAD_NONCE_BYTES, payloadKey, SEALED_CHUNK_BYTES, sealedSize } from './payload.js'
import { sealBlocks } from './seal-blocks.js'
import { sealNote } from './sealed-note.js'

/**
 * Seals what `plain` gives: an age file with this header. Its name and type are in the note alone; `name` is the one that the
 * receiver's file gets. Take a new header for each source. Throws EssError `usage` if there are too many recipients.
 */
export function sealedSource(plain: Source, name: string | undefined, sealing: OpenHeader): Source {
  const { size, type, bundle, reach, isRepeatable } = plain
  const payloadNonce = randomBytes(PAYLOAD_NONCE_BYTES)
  const key = payloadKey(sealing.fileKey, payloadNonce)
  const head = Buffer.concat([sealing.header, payloadNonce])
  const tags = new SealedTags()
  let readers = 0
  return {
    name: undefined,
    size: size === undefined ? undefined : head.length + sealedSize(size),
    sealed: sealNote(sealing, { name, type, size, payloadNonce, bundle }),
    ...(isRepeatable !== undefined && { isRepeatable }),
    ...reachOf(reach),
    async *read(from = 0) {
      // What is read once goes to the last reader, and for the one before it that looks like the end.
      const reader = ++readers
      const offset = Math.max(0, from - head.length)
      const index = Math.floor(offset / SEALED_CHUNK_BYTES)
      let surplus = offset - index * SEALED_CHUNK_BYTES
      const start = { index, head: head.subarray(from) }
      const isCurrent = () => isRepeatable === true || reader === readers
      for await (const block of sealBlocks(key, plain.read(index * CHUNK_BYTES), start, tags, isCurrent)) {
        if (surplus < block.length) yield surplus === 0 ? block : block.subarray(surplus)
        surplus = Math.max(0, surplus - block.length)
      }
    },
    close: () => plain.close(),
  }
}

/**
 * Bytes of a sealed source are more than those that they are made of, and it has read at most a chunk further than what
 * came out. To go back, it begins with a whole chunk.
 */
function reachOf(reach: number | undefined): Pick<Source, 'reach'> {
  if (reach === undefined || reach <= 2 * CHUNK_BYTES) return {}
  return { reach: reach - 2 * CHUNK_BYTES }
}
