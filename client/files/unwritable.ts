import { EssError } from '../../shared/index.js'
import { codeOf, errnoWords } from '../node/errno-words.js'

/** What to do about a file that can't be written, by the system's code. */
const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Choose another place with -o.',
  EPERM: 'Choose another place with -o.',
  EROFS: 'Choose another place with -o.',
  ENOENT: 'Create the folder, or choose another one with -o.',
  ENOTDIR: 'Create the folder, or choose another one with -o.',
  ENOSPC: 'Free some space, or choose another disk with -o.',
  EDQUOT: 'Delete some files, or choose another disk with -o.',
  EFBIG: 'Choose another disk with -o.',
  EILSEQ: 'Choose another name with -o.',
  EINVAL: 'Choose another name with -o.',
  ENAMETOOLONG: 'Choose another name with -o.',
}

/**
 * The error for a failed write to `path`. Without a path, it is about the output, and says nothing of `-o`. `more`
 * are the sentences to end with, instead of advice.
 */
export function unwritable(path: string | undefined, cause: unknown, more?: string): EssError {
  const { message } = cause as Error // The file system and streams throw Errors.
  const words = errnoWords('write', cause) ?? message
  const end = more ?? (path === undefined ? undefined : ADVICE[codeOf(cause)])
  const sentence = `Cannot write ${path ?? 'the output'}: ${words}.`
  return new EssError('file-unwritable', end === undefined ? sentence : `${sentence} ${end}`, { cause })
}

/** What to do when bytes could not be written that no sender has any more. */
export const USED_UP = 'The link is used up: ask the sender to send the file again.'

/** The error for a file that would be overwritten without `--force`. */
export function exists(path: string): EssError {
  return new EssError(
    'file-exists',
    `${path} exists already. Overwrite it with -f, or choose another name with -o.`,
  )
}
