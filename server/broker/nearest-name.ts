import { closestMatch } from 'leven'
import type { Nearest } from '../../shared/option-names.js'

/** With more typing errors than this, it is another word. */
const MAX_TYPING_ERRORS = 4

/** The known name that `name` was probably meant to be. A short name has room for fewer errors. */
export const nearestName: Nearest = (name, known) =>
  closestMatch(name, known, { maxDistance: Math.min(MAX_TYPING_ERRORS, Math.ceil(name.length / 2)) })
