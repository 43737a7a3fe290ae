/** The number of characters in a socket's id: 72 bits of randomness in base64url. */
export const SOCKET_ID_LENGTH = 12

/**
 * What an id looks like: base64url, neither beginning nor ending with `-` or `_`.
 * A leading `-` would be read as an option by every command line, and a trailing one is lost when a URL
 * is picked out of a sentence.
 */
export const SOCKET_ID_PATTERN = new RegExp(`^[A-Za-z0-9][A-Za-z0-9_-]{${SOCKET_ID_LENGTH - 2}}[A-Za-z0-9]$`)

/** True for a string that can be the id of a socket; it says nothing about whether the socket exists. */
export function isSocketId(value: string): boolean {
  return SOCKET_ID_PATTERN.test(value)
}

/** The number of characters in the token of an upload resource: 128 bits of randomness in base64url. */
export const UPLOAD_TOKEN_LENGTH = 22

/** What the token of an upload resource looks like. */
export const UPLOAD_TOKEN_PATTERN = new RegExp(`^[A-Za-z0-9_-]{${UPLOAD_TOKEN_LENGTH}}$`)
