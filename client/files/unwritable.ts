import { EssError } from '../../shared/index.js'
import { errnoWords } from '../node/errno-words.js'

/** The failure to write `path`, or, without one, the output, as people need it. */
export function unwritable(path: string | undefined, cause: unknown, more = ''): EssError {
  const { message } = cause as Error // What the file system and streams throw.
  const words = errnoWords('write', cause) ?? message
  return new EssError('file-unwritable', `Cannot write ${path ?? 'the output'}: ${words}${more}`, { cause })
}

/** The refusal to write over a file. */
export function exists(path: string): EssError {
  return new EssError('file-exists', `${path} exists already; --force overwrites it`)
}
