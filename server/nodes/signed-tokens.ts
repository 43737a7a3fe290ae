import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { SIGNED_TOKEN_LENGTH } from '../../shared/index.js'

const RANDOM_BYTES = 16
/** Half of the digest: 128 bits can't be found by asking a server. */
const PROOF_BYTES = 16

/**
 * The tokens of a cluster: random bytes, and a proof of the id that they belong to. So every node can tell a sender that
 * comes back, without asking another one or the store.
 */
export interface SignedTokens {
  /** A new token for the upload resource of this id. */
  sign(id: string): string
  /** True for a token that a node of this cluster has made for this id. */
  isOf(token: string, id: string): boolean
}

/** All nodes of a cluster have the same secret, and no one else has it. */
export function signedTokens(secret: Buffer): SignedTokens {
  const key = createHmac('sha256', secret).update('ess upload tokens').digest()
  const proofOf = (random: Buffer, id: string) =>
    createHmac('sha256', key).update(random).update(id).digest().subarray(0, PROOF_BYTES)
  return {
    sign: (id) => {
      const random = randomBytes(RANDOM_BYTES)
      return Buffer.concat([random, proofOf(random, id)]).toString('base64url')
    },
    isOf: (token, id) => {
      if (token.length !== SIGNED_TOKEN_LENGTH) return false
      const bytes = Buffer.from(token, 'base64url')
      if (bytes.length !== RANDOM_BYTES + PROOF_BYTES) return false
      return timingSafeEqual(bytes.subarray(RANDOM_BYTES), proofOf(bytes.subarray(0, RANDOM_BYTES), id))
    },
  }
}
