import { replaceHidden } from '../../../shared/hidden.js'
import { safeFileName } from '../../../shared/index.js'
import { fromLatin1 } from '../../../shared/latin1.js'
import { RECEIVING } from '../../../shared/page-words-receiving.js'
import { unsafe } from '../../../shared/tar-unsafe.js'
import { windowsName } from '../../../shared/windows-name.js'

/**
 * The names of an entry's path, from the top down, fit for any system: a page can't know on which one they end up. `path`
 * are the bytes of the entry's own path, which has no `..` and is not absolute. Throws EssError `unsafe-bundle` if nothing is
 * left of one.
 */
export function namesOf(path: string): string[] {
  return textOf(path)
    .split('/')
    .map((name, depth) => {
      const safe = portable(depth === 0 ? (safeFileName(name) ?? '') : name)
      if (safe === '') throw unsafe(RECEIVING.noName, path)
      return safe
    })
}

/** The same path, for a person to read. */
export function textOf(path: string): string {
  return new TextDecoder().decode(fromLatin1(path))
}

function portable(name: string): string {
  return windowsName(replaceHidden(name.replaceAll('\\', '_'), () => '_'))
}
