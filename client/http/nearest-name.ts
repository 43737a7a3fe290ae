import { closestMatch } from 'leven'
import type { Nearest } from '../../shared/option-names.js'

/** With more mistakes than this, it is another word. */
const MAX_TYPING_ERRORS = 4

/** Finds the known name that `name` was probably meant to be. A short name may have fewer mistakes. */
export const nearestName: Nearest = (name, known) => nearestWithin(Math.ceil(name.length / 2), name, known)

/** The same, with at most so many mistakes. */
export function nearestWithin(mistakes: number, name: string, known: readonly string[]): string | undefined {
  return closestMatch(name, known, { maxDistance: Math.min(MAX_TYPING_ERRORS, mistakes) })
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
