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
  return clean === '' ? undefined : shorten(clean)
}

function shorten(name: string): string {
  if (utf8Length(name) <= MAX_FILE_NAME_BYTES) return name
  const dot = name.lastIndexOf('.')
  const extension = dot > 0 && name.length - dot <= MAX_EXTENSION_LENGTH ? name.slice(dot) : ''
  let stem = ''
  for (const character of name.slice(0, name.length - extension.length)) {
    if (utf8Length(stem + character + extension) > MAX_FILE_NAME_BYTES) break
    stem += character
  }
  // The cut may have left a space at the end, or half of a joined character.
  return withoutHidden(stem + extension).trimEnd()
}

function withoutHidden(text: string): string {
  return replaceHidden(text, () => '')
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length
}
