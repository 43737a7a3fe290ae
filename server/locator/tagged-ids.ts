import { createHash } from 'node:crypto'
import { NODE_TAG_LENGTH, SOCKET_ID_LENGTH, SOCKET_ID_PATTERN } from '../../shared/index.js'
import { randomId } from '../node/random-id.js'

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/**
 * The option `ids` for a node of a cluster: 12 random characters as everywhere, with the same 72 bits, and the tag of
 * this node after them. The tag makes an id no easier to guess, but shows which ids are from the same node. The pattern
 * takes ids of all nodes, and those without a tag.
 */
export function taggedIds(node: string): { readonly pattern: RegExp; readonly generate: () => string } {
  const tag = tagOf(node)
  return { pattern: SOCKET_ID_PATTERN, generate: () => randomId() + tag }
}

/** Three letters or digits. Of 100 nodes, two have the same tag in one cluster of fifty. */
export function tagOf(node: string): string {
  const digest = createHash('sha256').update(`ess node tag ${node}`).digest()
  let number = digest.readUInt32BE(0)
  let tag = ''
  while (tag.length < NODE_TAG_LENGTH) {
    tag += LETTERS[number % LETTERS.length]
    number = Math.floor(number / LETTERS.length)
  }
  return tag
}

/** The tag in an id; undefined if it has none. */
export function tagIn(id: string): string | undefined {
  const isTagged = id.length === SOCKET_ID_LENGTH + NODE_TAG_LENGTH
  return isTagged ? id.slice(SOCKET_ID_LENGTH) : undefined
}
