import { replaceHidden } from './hidden.js'

/** The longest file name that we pass on, in bytes of UTF-8. Most file systems take 255, and `.part` must fit too. */
const MAX_FILE_NAME_BYTES = 240
/** A longer ending is not an extension worth keeping. */
const MAX_EXTENSION_LENGTH = 16

/**
 * Makes a name safe to write to a disk, a header and a terminal: the last component of the path, without control and
 * other deceptive characters, without a leading dot or dash, and at most 240 bytes long with its extension kept.
 * Undefined if nothing is left.
 */
export function safeFileName(name: string): string | undefined {
  const component = name.toWellFormed().split(/[/\\]/).pop() ?? ''
  const clean = withoutHidden(component)
    .replace(/^[\s.-]+/u, '')
    .trimEnd()
  return clean === '' ? undefined : shortenName(clean, MAX_FILE_NAME_BYTES)
}

/** Cuts a name to so many bytes of UTF-8, and keeps its extension. */
export function shortenName(name: string, maxBytes: number): string {
  if (utf8Length(name) <= maxBytes) return name
  const extension = endingOf(name)
  let stem = ''
  for (const character of name.slice(0, name.length - extension.length)) {
    if (utf8Length(stem + character + extension) > maxBytes) break
    stem += character
  }
  // The cut may have left a space at the end, or half of a joined character.
  return withoutHidden(stem + extension).trimEnd()
}

/** A name's extension with its dot, such as `.pdf`. Empty if there is none. */
export function endingOf(name: string): string {
  const dot = name.lastIndexOf('.')
  return dot > 0 && name.length - dot <= MAX_EXTENSION_LENGTH ? name.slice(dot) : ''
}

function withoutHidden(text: string): string {
  return replaceHidden(text, () => '')
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length
}
