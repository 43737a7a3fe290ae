/** What was tried when a call failed. The same code means different things for a port and for a file. */
export type Attempt = 'listen' | 'read'

/** Words for the codes that the system fails with, to be put after a colon. */
const WORDS: Readonly<Record<Attempt, Readonly<Record<string, string>>>> = {
  listen: {
    EADDRINUSE: 'the port is in use',
    EACCES: 'this user may not use that port',
    EADDRNOTAVAIL: 'this machine does not have that address',
    ENOTFOUND: 'there is no such host',
  },
  read: {
    ENOENT: 'there is no such file',
    EACCES: 'this user may not read it',
    EISDIR: 'it is a folder',
  },
}

/** The system's code for an error, such as ENOENT; '' for an error without one. */
export function codeOf(error: unknown): string {
  const isCoded = typeof error === 'object' && error !== null && 'code' in error
  return isCoded && typeof error.code === 'string' ? error.code : ''
}

/** What `error` means to an operator who tried that; undefined where Node's own words have to do. */
export function errnoWords(attempt: Attempt, error: unknown): string | undefined {
  const words = WORDS[attempt]
  const code = codeOf(error)
  return Object.hasOwn(words, code) ? words[code] : undefined
}
