import { EssError, formatCount } from '../../shared/index.js'
import type { Source } from './source.js'

/** A source that knows how far it was read. */
export interface ReadSource extends Source {
  /** The offset behind the last byte that `read` gave. */
  readonly readTo: number
  /** True once it was read from, even if nothing has come yet: what a pipe then gives can't be read again. */
  readonly isTouched: boolean
  /** True if it was read to its end. */
  readonly isAllRead: boolean
}

/**
 * The same source, watched. If it can be read once only, the last reader gets what is left of it: for the one before, that
 * looks like the end, and its request would pass for a whole one. Such a reader gets EssError `connection-lost` instead.
 */
export function watchReads(source: Source): ReadSource {
  const { name, size, type, bundle, sealed, isRepeatable, reach } = source
  let readTo = 0
  let isTouched = false
  // An empty file need not be read.
  let isAllRead = size === 0
  let readers = 0
  return {
    name,
    size,
    type,
    bundle,
    sealed,
    ...(isRepeatable !== undefined && { isRepeatable }),
    ...(reach !== undefined && { reach }),
    get readTo() {
      return readTo
    },
    get isTouched() {
      return isTouched
    },
    get isAllRead() {
      return isAllRead
    },
    async *read(from = 0) {
      const reader = ++readers
      isTouched = true
      let at = from
      for await (const block of source.read(from)) {
        at += block.length
        readTo = Math.max(readTo, at)
        // Who knows the size doesn't ask for more.
        if (at === size) isAllRead = true
        yield block
      }
      if (reader !== readers && isRepeatable !== true)
        throw new EssError('connection-lost', 'Another request goes on with the rest of this upload.')
      isAllRead = true
    },
    close: () => source.close(),
  }
}

/**
 * Throws EssError `incomplete` unless the server has delivered what was read, to its end: something on the way may have
 * ended an upload of unknown length too early, and its receiver has a file that looks whole.
 */
export function expectAllOf({ isAllRead, readTo }: ReadSource, delivered: number): void {
  if (isAllRead && delivered === readTo) return
  throw new EssError(
    'incomplete',
    `The receiver has a file of ${formatCount(delivered, 'byte')}, and ${isAllRead ? formatCount(readTo, 'byte') : 'more'} were to be sent. Something on the way ended the upload too early, and the receiver can't tell. Send it again, and say so.`,
  )
}
