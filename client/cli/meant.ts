import { nearestName } from '../http/nearest-name.js'

/**
 * The known word that `typed` was probably meant to be: the only one that begins with it, else the nearest. Undefined if
 * none is near.
 */
export function meant(typed: string, known: readonly string[]): string | undefined {
  if (typed === '') return undefined
  const [first, ...others] = known.filter((word) => word.startsWith(typed) || typed.startsWith(`${word}-`))
  if (first !== undefined && others.length === 0) return first
  return typed.length < 2 ? undefined : nearestName(typed, known)
}
