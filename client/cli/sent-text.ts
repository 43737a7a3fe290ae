import { isUtf8 } from 'node:buffer'
import { EssError, MAX_TEXT_BYTES, TEXT_TYPE } from '../../shared/index.js'
import type { Source } from '../ends/source.js'
import { bytesOf } from '../files/raw-arguments.js'
import { interrupted } from '../node/interrupted.js'
import type { Io } from './io.js'

/**
 * The text of `ess send --text`: the operands, or else what is piped in or typed. It is read to its end before there is a
 * link, because a receiver is told its size. Throws EssError `usage` if it is empty, too long or not UTF-8.
 */
export async function openText(
  { operands, quiet }: { readonly operands: readonly string[]; readonly quiet: boolean },
  io: Io,
): Promise<Source> {
  const isGiven = operands.length > 0 && operands.join() !== '-'
  if (!isGiven && io.stdin.isTTY && !quiet)
    io.stderr.write('ess: Type your text. To end it, press Enter and then Ctrl-D.\n')
  return sourceOf(isGiven ? textOf(operands) : await readAll(io))
}

function textOf(operands: readonly string[]): Buffer {
  return Buffer.from(operands.map((word) => bytesOf(word) ?? Buffer.from(word)).reduce(joined))
}

function joined(one: Buffer, other: Buffer): Buffer {
  return Buffer.concat([one, Buffer.from(' '), other])
}

async function readAll({ stdin, signal }: Io): Promise<Buffer> {
  const stop = () => void stdin.destroy(interrupted())
  if (signal.aborted) throw interrupted()
  signal.addEventListener('abort', stop, { once: true })
  const blocks: Buffer[] = []
  let bytes = 0
  try {
    for await (const block of stdin) {
      blocks.push(block)
      bytes += block.length
      if (bytes > MAX_TEXT_BYTES) break
    }
  } finally {
    signal.removeEventListener('abort', stop)
  }
  return Buffer.concat(blocks)
}

/** A source that has no name: a receiver prints it. */
function sourceOf(text: Buffer): Source {
  if (text.length === 0)
    throw new EssError('usage', 'The text is empty. Write it after --text, or pipe it in.')
  if (text.length > MAX_TEXT_BYTES)
    throw new EssError('usage', `A text has at most 1 MiB, and this one is longer. ${AS_FILE}`)
  if (!isUtf8(text)) throw new EssError('usage', `The text is not UTF-8. ${AS_FILE}`)
  return {
    name: undefined,
    size: text.length,
    type: TEXT_TYPE,
    isRepeatable: true,
    reach: Number.POSITIVE_INFINITY,
    async *read(from = 0) {
      if (from < text.length) yield text.subarray(from)
    },
    async close() {},
  }
}

const AS_FILE = 'Send it as a file: leave out --text.'
