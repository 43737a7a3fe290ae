import { closestMatch } from 'leven'
import type { Nearest } from '../../shared/option-names.js'

/** With more mistakes than this, it is another word. */
const MAX_TYPING_ERRORS = 4

/** Finds the known name that `name` was probably meant to be. A short name may have fewer mistakes. */
export const nearestName: Nearest = (name, known) =>
  closestMatch(name, known, { maxDistance: Math.min(MAX_TYPING_ERRORS, Math.ceil(name.length / 2)) })
