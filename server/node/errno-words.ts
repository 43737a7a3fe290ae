/** Why a file can't be read, by the system's code. */
const READ_TROUBLES: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a folder',
}

/** The system's code for an error, such as ENOENT; '' for an error without one. */
export function codeOf(error: unknown): string {
  const isCoded = typeof error === 'object' && error !== null && 'code' in error
  return isCoded && typeof error.code === 'string' ? error.code : ''
}

/** Why a file couldn't be read, to be put after a colon: in words, or as the system's code. */
export function readTrouble(error: unknown): string {
  const code = codeOf(error)
  return (Object.hasOwn(READ_TROUBLES, code) ? READ_TROUBLES[code] : undefined) ?? code
}
