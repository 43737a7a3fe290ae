/** What we tried to do. The same code means one thing to a person who reads a file, another to one who writes it. */
export type Attempt = 'read' | 'write' | 'configure' | 'connect'

const NO_PERMISSION = { EACCES: 'permission denied', EPERM: 'permission denied' } as const
const BAD_PATH = {
  ELOOP: 'its symbolic links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
} as const
const UNKNOWN_AUTHORITY = 'this machine does not trust the authority that signed its certificate'

/** Words for the codes of Node and the system. They follow a colon and have no full stop. */
const WORDS: Readonly<Record<Attempt, Readonly<Record<string, string>>>> = {
  read: {
    ...NO_PERMISSION,
    ...BAD_PATH,
    EISDIR: 'it is a folder',
    ENOENT: 'there is no such file',
    ENOTDIR: 'there is no such file',
    ENXIO: 'it is a socket, or a device that is not there',
  },
  write: {
    ...NO_PERMISSION,
    ...BAD_PATH,
    EBUSY: 'it is in use, or mounted',
    EDQUOT: 'your disk quota is used up',
    EFBIG: 'the file system takes no files of this size',
    EILSEQ: 'the file system takes no such name',
    EINVAL: 'the file system takes no such name',
    ENOENT: 'there is no such folder',
    ENOSPC: 'the disk is full',
    ENOTDIR: 'there is no such folder',
    EPIPE: 'the program that reads it has exited',
    EROFS: 'the file system is read-only',
  },
  configure: { ...NO_PERMISSION, EISDIR: 'it is a folder' },
  connect: {
    ECONNREFUSED: 'connection refused',
    ECONNRESET: 'the connection was cut off',
    EHOSTUNREACH: 'no route leads to it',
    ENETUNREACH: 'no route leads to its network',
    ENOTFOUND: 'there is no host of that name',
    EAI_AGAIN: 'its name could not be looked up',
    CERT_HAS_EXPIRED: 'its certificate has expired',
    CERT_NOT_YET_VALID: 'its certificate is not valid yet',
    DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
    SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
    UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
    EPROTO: 'it does not speak TLS',
    ETIMEDOUT: 'it did not answer in time',
  },
}

/** The code of an error from Node; '' if it has none. */
export function codeOf(error: unknown): string {
  const isCoded = typeof error === 'object' && error !== null && 'code' in error
  return isCoded && typeof error.code === 'string' ? error.code : ''
}

/** The meaning of `error` after such an attempt; undefined if the table has no words, and Node's own have to do. */
export function errnoWords(attempt: Attempt, error: unknown): string | undefined {
  const words = WORDS[attempt]
  const code = codeOf(error)
  return Object.hasOwn(words, code) ? words[code] : undefined
}
