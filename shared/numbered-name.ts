import { endingOf, shortenName } from './file-name.js'

/** The longest name that nearly all file systems take, in bytes of UTF-8. */
export const MAX_NAME_BYTES = 255

/** A name for the `number`th of those that would have the same one: `photo.jpg`, `photo (2).jpg`, `photo (3).jpg`. */
export function numberedName(name: string, number: number): string {
  if (number === 1) return name
  const ending = endingOf(name)
  const more = ` (${number})${ending}`
  const stem = name.slice(0, name.length - ending.length)
  return shortenName(stem, MAX_NAME_BYTES - new TextEncoder().encode(more).length) + more
}
