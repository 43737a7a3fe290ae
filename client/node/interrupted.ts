import { EssError } from '../../shared/index.js'

/** The error after the user's own interruption. */
export function interrupted(): EssError {
  return new EssError('interrupted', 'Interrupted before the transfer was complete.')
}
