import { closestMatch } from 'leven'
import type { Nearest } from '../../shared/option-names.js'

/** With more typing errors than this, it is another word. */
const MAX_TYPING_ERRORS = 4

/**
 * The known name that `name` was probably meant to be. A short name has room for fewer errors, and a name with another
 * first letter for fewer again: `foo` isn't `log`.
 */
export const nearestName: Nearest = (name, known) =>
  nearestWithin(
    name.length / 2 + 0.5,
    name,
    known.filter((one) => one[0] === name[0]),
  ) ?? nearestWithin(name.length / 3, name, known)

function nearestWithin(errors: number, name: string, known: readonly string[]): string | undefined {
  return closestMatch(name, known, { maxDistance: Math.min(MAX_TYPING_ERRORS, Math.floor(errors)) })
}
