/** The number of characters in a socket's id: 72 bits of randomness in base64url. */
export const SOCKET_ID_LENGTH = 12

/** The number of letters and digits that a node of a cluster adds to its ids, so that other nodes know whom to ask. */
export const NODE_TAG_LENGTH = 3

/**
 * The form of an id: base64url, without `-` or `_` at either end. A command line would read a leading `-` as an
 * option, and a trailing one gets lost when a program picks the URL out of a sentence. In a cluster, the tag of a node
 * follows.
 */
export const SOCKET_ID_PATTERN = new RegExp(
  `^[A-Za-z0-9][A-Za-z0-9_-]{${SOCKET_ID_LENGTH - 2}}[A-Za-z0-9](?:[A-Za-z0-9]{${NODE_TAG_LENGTH}})?$`,
)

/** True for text that can be the id of a socket. The socket need not exist. */
export function isSocketId(value: string): boolean {
  return SOCKET_ID_PATTERN.test(value)
}

/** The number of characters in the token of an upload resource: 128 bits of randomness in base64url. */
export const UPLOAD_TOKEN_LENGTH = 22

/** The same in a cluster: 128 random bits, and 128 by which each of its nodes can tell the token's id. */
export const SIGNED_TOKEN_LENGTH = 43

/** The form of an upload resource's token, in a cluster or not. */
export const UPLOAD_TOKEN_PATTERN = new RegExp(
  `^(?:[A-Za-z0-9_-]{${UPLOAD_TOKEN_LENGTH}}|[A-Za-z0-9_-]{${SIGNED_TOKEN_LENGTH}})$`,
)
