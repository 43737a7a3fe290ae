import { EssError } from '../../shared/index.js'

/** How soon a client may ask again, in seconds. */
const RETRY_AFTER = 5

/** Why another node of the cluster could not be reached. For the log: clients are told neither its name nor its address. */
export class NodeUnreached extends Error {
  readonly node: string
  readonly address: string

  constructor(node: string, address: string, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.node = node
    this.address = address
  }
}

/** The refusal of a request for what a node has, or may have, that can't be reached now. */
export function nodeAway(cause?: unknown): EssError {
  return new EssError(
    'node-away',
    'The part of this server that may have this transfer cannot be reached now. Try again in a moment.',
    { retryAfter: RETRY_AFTER, cause },
  )
}
