import { Writable } from 'node:stream'
import { printable } from '../../shared/index.js'

/**
 * Takes a text of `size` bytes, and hands it to `print` when its last byte is there: made harmless for a terminal, and
 * with a line feed at its end.
 */
export function shownText(size: number, print: (text: string) => Promise<void>): Writable {
  const pieces: Buffer[] = []
  let missing = size
  return new Writable({
    write(piece: Buffer, _encoding, callback) {
      // The memory of a block is used again.
      pieces.push(Buffer.from(piece))
      missing -= piece.length
      if (missing > 0 || piece.length === 0) callback()
      else print(harmless(Buffer.concat(pieces).toString())).then(() => callback(), callback)
    },
  })
}

/** Characters that a terminal would obey are written as `\u{1b}`. Line ends and tabs stay. */
function harmless(text: string): string {
  const lines = text.replaceAll('\r\n', '\n').split('\t').map(printable).join('\t')
  return lines.endsWith('\n') ? lines : `${lines}\n`
}
