import { closestMatch } from 'leven'
import type { Nearest } from '../../shared/option-names.js'

/** With more mistakes than this, it is another word. */
const MAX_TYPING_ERRORS = 4

/**
 * Finds the known name that `name` was probably meant to be. A short name may have fewer mistakes, and a name with
 * another first letter fewer again: `put` isn't `get`.
 */
export const nearestName: Nearest = (name, known) =>
  nearestWithin(
    name.length / 2 + 0.5,
    name,
    known.filter((one) => one[0] === name[0]),
  ) ?? nearestWithin(name.length / 3, name, known)

function nearestWithin(mistakes: number, name: string, known: readonly string[]): string | undefined {
  return closestMatch(name, known, { maxDistance: Math.min(MAX_TYPING_ERRORS, Math.floor(mistakes)) })
}

/**
 * Finds the file in a folder that `name` was probably meant to be: the same name in another case, the only one with
 * this name and an extension, or one with few mistakes.
 */
export function nearestFile(name: string, files: readonly string[]): string | undefined {
  const small = name.toLowerCase()
  const sameName = files.find((file) => file.toLowerCase() === small)
  const longer = files.filter((file) => file.startsWith(`${name}.`))
  if (sameName !== undefined || longer.length === 1) return sameName ?? longer[0]
  const maxDistance = Math.min(MAX_TYPING_ERRORS, Math.floor(name.length / 3))
  return closestMatch(name, files, { maxDistance })
}
