import { shortenName } from '../../../shared/file-name.js'
import { replaceHidden } from '../../../shared/hidden.js'
import { EssError, safeFileName } from '../../../shared/index.js'
import { fromLatin1 } from '../../../shared/latin1.js'
import { MAX_NAME_BYTES, numberedName } from '../../../shared/numbered-name.js'
import { windowsName } from '../../../shared/windows-name.js'

/** What stands at a place where an entry could go. */
export type Standing = 'free' | 'taken' | 'forbidden'

/**
 * The names that the entries of a bundle get here: fit for any system, because a page can't know on which one they end up,
 * and each another one.
 */
export class Names {
  /** The names of each entry so far, by its path in the tar. */
  readonly #given = new Map<string, readonly string[]>()
  readonly #numbers = new Map<string, number>()

  /**
   * The names of the next entry's path, from the top down. `path` are the bytes of it, and what it is in has been given its
   * names before. `look` tells what stands where names lead. Throws EssError `file-unwritable` if no name can be had.
   */
  async give(
    path: string,
    look: (names: readonly string[]) => Promise<Standing>,
  ): Promise<readonly string[]> {
    const slash = path.lastIndexOf('/')
    const parent = slash === -1 ? [] : this.of(path.slice(0, slash))
    const own = textOf(path.slice(slash + 1))
    // At the top no name appears that is hidden, or looks like an option.
    const safe = portable(slash === -1 ? (safeFileName(own) ?? '') : own)
    const lookAt = (name: string) => look([...parent, name])
    const names = [...parent, await freeName(safe, lookAt, this.#numbers, parent.join('/'))]
    this.#given.set(path, names)
    return names
  }

  /** The names that an entry has got. */
  of(path: string): readonly string[] {
    const names = this.#given.get(path)
    // The tree has refused what is in no folder, and a link to no file.
    if (names === undefined) throw new Error(`Expected an entry before for ${path}`)
    return names
  }
}

/**
 * The first name that is free: `wanted` itself, or one that the browser allows, or that with a number. `numbers` are those that
 * were reached before, so that many of one name take no longer than others. Throws EssError `file-unwritable`.
 */
export async function freeName(
  wanted: string,
  look: (name: string) => Promise<Standing>,
  numbers = new Map<string, number>(),
  place = '',
): Promise<string> {
  for (const form of formsOf(wanted)) {
    const key = `${place}/${form}`
    for (let number = numbers.get(key) ?? 1; ; number++) {
      const name = numberedName(form, number)
      const standing = await look(name)
      if (standing === 'forbidden') break
      if (standing === 'taken') continue
      numbers.set(key, number + 1)
      return name
    }
  }
  throw new EssError('file-unwritable')
}

/** A path of a tar, or one name of it, for a person to read. */
export function textOf(path: string): string {
  return new TextDecoder().decode(fromLatin1(path))
}

/** A name without slashes, as any system can have it. */
export function portable(name: string): string {
  return windowsName(replaceHidden(name.replaceAll('\\', '_'), () => '_')) || '_'
}

/**
 * Ever plainer forms of a name. Chromium allows none that the systems' file managers act upon (`Thumbs.db`, `desktop.ini`,
 * `app.lnk`), and none with a space or a tilde at an end (`net::IsSafePortablePathComponent`).
 */
function formsOf(name: string): readonly string[] {
  const plainEnds = name.replace(/^[\s~]+|[\s~.]+$/g, (end) => '_'.repeat(end.length))
  const plain = name.replace(/[^\p{L}\p{N} ._-]/gu, '_')
  const forms = [name, plainEnds, `${shortenName(plainEnds, MAX_NAME_BYTES - 1)}_`, `_${plain}_`]
  return [...new Set(forms.map((form) => shortenName(form, MAX_NAME_BYTES)))]
}
