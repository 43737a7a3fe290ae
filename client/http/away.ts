import { EssError } from '../../shared/index.js'

/**
 * Something that stands for a server was there and could not ask it: a proxy that has none at this moment, or whatever took
 * the connection and ended it before a byte of an answer. Another try may find the server.
 */
export class AwayError extends EssError {}

/** The statuses of a proxy that has no server for a request at this moment. */
export const STATUSES_AWAY: readonly number[] = [502, 503, 504]

/** True for a server that is there, and takes nothing at this moment. */
export function isAway(error: unknown): error is EssError {
  return error instanceof AwayError || (error instanceof EssError && error.code === 'shutting-down')
}
