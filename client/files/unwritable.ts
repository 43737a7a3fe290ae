import { EssError } from '../../shared/index.js'

/** The failure to write `path`, or, without one, the output, as people need it. */
export function unwritable(path: string | undefined, cause: unknown, more = ''): EssError {
  const { code, message } = cause as NodeJS.ErrnoException // What the file system and streams throw.
  const words = REASONS[code ?? ''] ?? message
  return new EssError('file-unwritable', `Cannot write ${path ?? 'the output'}: ${words}${more}`, { cause })
}

/** The refusal to write over a file. */
export function exists(path: string): EssError {
  return new EssError('file-exists', `${path} exists already; --force overwrites it`)
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBUSY: 'it is in use, or mounted',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file system takes no files of this size',
  EILSEQ: 'the file system takes no such name',
  EINVAL: 'the file system takes no such name',
  ELOOP: 'its symbolic links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such folder',
  ENOSPC: 'no space left',
  ENOTDIR: 'no such folder',
  EPERM: 'permission denied',
  EPIPE: 'nobody reads it any more',
  EROFS: 'the file system is read-only',
}
