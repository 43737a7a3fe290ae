import { EssError } from '../../shared/index.js'

/** How soon a client may ask again, in seconds. */
const RETRY_AFTER = 5

/** The refusal of a request for what a node has, or may have, that can't be reached now. */
export function nodeAway(cause?: unknown): EssError {
  return new EssError(
    'node-away',
    'The part of this server that may have this transfer cannot be reached now. Try again in a moment.',
    { retryAfter: RETRY_AFTER, cause },
  )
}
