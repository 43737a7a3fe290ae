import type { Tree } from '../../../shared/tar-tree.js'
import { unsafe } from '../../../shared/tar-unsafe.js'
import { LinkCheck } from '../link-check.js'

/**
 * Throws EssError `unsafe-bundle` if a symbolic link leads out of the folder that it was sent in, by itself or through
 * another link. Call it when all entries are known.
 */
export function checkSymlinks({ tops, symlinks }: Tree): void {
  const check = new LinkCheck(tops, symlinks)
  for (const link of symlinks) {
    const trouble = check.troubleWith(link)
    if (trouble !== undefined) throw unsafe(trouble, link.path)
    // Windows would read it as a drive, a stream, or a path of its own.
    if (process.platform === 'win32' && /[\\:]/.test(link.target))
      throw unsafe('is a symbolic link that Windows can not have', link.path)
  }
}
