import { EssError } from '../../../shared/index.js'
import { IS_PHONE } from '../../ui/phone.js'
import { handOver } from './hand-over.js'
import type { Saved, Way } from './sink.js'

const MIB = 1024 * 1024
const MB = 1_000_000
/** A tab has room for more, but a person who waits for the end should not lose it then. */
const DESKTOP_BYTES = 512 * MB
/** A phone ends a tab that takes too much. */
const PHONE_BYTES = 64 * MB
/** Parts that are put together, so that there are not too many. */
const PART_BYTES = 8 * MIB

/** The largest file that fits into memory here. */
export function memoryLimit(): number {
  return IS_PHONE ? PHONE_BYTES : DESKTOP_BYTES
}

/** The file is kept in memory until it is whole, and only then given to the browser. */
export function toMemory(): Way {
  return {
    open: ({ name, type }: Saved) => {
      const limit = memoryLimit()
      const parts: Blob[] = []
      let pending: Uint8Array<ArrayBuffer>[] = []
      let [bytes, pendingBytes] = [0, 0]
      const flush = () => {
        parts.push(new Blob(pending))
        pending = []
        pendingBytes = 0
      }
      return Promise.resolve({
        write(chunk) {
          bytes += chunk.length
          pendingBytes += chunk.length
          pending.push(chunk)
          if (pendingBytes >= PART_BYTES) flush()
          if (bytes <= limit) return Promise.resolve()
          // Its size was not known before.
          return Promise.reject(new EssError('too-large'))
        },
        close() {
          flush()
          return Promise.resolve(handOver(new Blob(parts, { type }), name))
        },
        abort() {
          parts.length = 0
          pending = []
          return Promise.resolve()
        },
      })
    },
    drop: () => Promise.resolve(),
  }
}
