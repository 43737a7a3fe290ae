import { realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { EssError } from '../../../shared/index.js'
import { missing } from '../../files/missing.js'
import { codeOf } from '../../node/errno-words.js'
import { fromBytes, shownBytes, shownName } from './names.js'
import { childOf } from './places.js'
import { cannotSend } from './refusals.js'

/** A file or a folder that was named to be sent. */
export interface Operand {
  /** As it was named. A Buffer is a path that is not UTF-8. */
  readonly place: string | Buffer
  /** The same for messages. */
  readonly shown: string
  /** The name that it has in the tar: the last component of its real path, or one that was chosen. */
  readonly name: string
}

/**
 * The operands in the order of their names. Throws EssError `usage` if two would have the same name, or
 * `file-unreadable` for one that has no name.
 */
export async function operandsOf(paths: readonly (string | Buffer)[]): Promise<readonly Operand[]> {
  const operands = await Promise.all(paths.map(operandOf))
  const sorted = operands.sort((one, other) => Buffer.compare(Buffer.from(one.name), Buffer.from(other.name)))
  for (const [at, { name, shown }] of sorted.entries()) {
    const other = sorted[at + 1]
    if (other?.name !== name) continue
    throw new EssError(
      'usage',
      shown === other.shown
        ? `You named ${shown} twice. Name it once.`
        : `${shown} and ${other.shown} would both be ${shownName(name)}. Rename one of them, or send them one after the other.`,
    )
  }
  return sorted
}

/** The place of the entry that has this path in the tar. */
export function placeIn({ place, name }: Operand, path: string): string | Buffer {
  return path === name ? place : childOf(place, path.slice(name.length + 1))
}

async function operandOf(place: string | Buffer): Promise<Operand> {
  if (place.length === 0) throw new EssError('usage', 'A path is empty. Name a file or a folder.')
  // As Latin-1, so that each byte stays what it is.
  const bytes = Buffer.from(place).toString('latin1')
  const name = fromBytes(await nameOf(place, bytes))
  const text = fromBytes(bytes)
  const shown = text === undefined ? shownBytes(bytes) : shownName(text)
  if (name === undefined) throw cannotSend([{ path: shown, why: NOT_UTF8_NAME, isNamed: true }])
  return { place, shown, name }
}

/** Why an entry can't be sent whose name is not UTF-8: a tar's names are. */
export const NOT_UTF8_NAME = 'its name is not UTF-8'

/** The last component of the real path, as bytes. `.` and `..` have no name of their own. */
async function nameOf(place: string | Buffer, bytes: string): Promise<string> {
  const name = basename(bytes)
  if (name !== '' && name !== '.' && name !== '..') return name
  try {
    return basename(realpathSync.native(place, 'latin1')) || NAME_OF_ROOT
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw await missing(place.toString(), error)
    throw error
  }
}

const NAME_OF_ROOT = 'root'
