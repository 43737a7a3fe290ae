import { EssError } from '../../shared/index.js'
import { errnoWords } from '../node/errno-words.js'

/** The error for a failed write to `path`. Without a path, it is about the output. `more` is added at the end. */
export function unwritable(path: string | undefined, cause: unknown, more = ''): EssError {
  const { message } = cause as Error // The file system and streams throw Errors.
  const words = errnoWords('write', cause) ?? message
  return new EssError('file-unwritable', `Cannot write ${path ?? 'the output'}: ${words}${more}`, { cause })
}

/** The error for a file that would be overwritten without `--force`. */
export function exists(path: string): EssError {
  return new EssError('file-exists', `${path} exists already; --force overwrites it`)
}
