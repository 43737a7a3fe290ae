import { nearestName, nearestWithin } from '../http/nearest-name.js'

/**
 * The known word that `typed` was probably meant to be: the only one that begins with it, else the nearest. Undefined if
 * none is near. A word of another beginning is near only if it differs in one letter of three: `put` isn't `get`.
 */
export function meant(typed: string, known: readonly string[]): string | undefined {
  if (typed === '') return undefined
  const [first, ...others] = known.filter((word) => word.startsWith(typed) || typed.startsWith(`${word}-`))
  if (first !== undefined && others.length === 0) return first
  if (typed.length < 2) return undefined
  const near = nearestName(typed, known)
  const isAlike = near?.[0] === typed[0] || nearestWithin(Math.floor(typed.length / 3), typed, known) === near
  return isAlike ? near : undefined
}
