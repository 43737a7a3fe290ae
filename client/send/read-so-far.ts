import type { Source } from './source.js'

/** A source that knows how far it was read. */
export interface ReadSource extends Source {
  /** The offset behind the last byte that `read` gave. */
  readonly readTo: number
  /** True once it was read from, even if nothing has come yet: what a pipe then gives can't be read again. */
  readonly isTouched: boolean
}

/** The same source, watched. */
export function watchReads(source: Source): ReadSource {
  const { name, size, type, bundle, sealed, isRepeatable, reach } = source
  let readTo = 0
  let isTouched = false
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
    async *read(from = 0) {
      isTouched = true
      let at = from
      for await (const block of source.read(from)) {
        at += block.length
        readTo = Math.max(readTo, at)
        yield block
      }
    },
    close: () => source.close(),
  }
}
