import { isUtf8 } from 'node:buffer'
import { safeFileName } from '../../../shared/index.js'
import { unsafe } from './unsafe.js'

/**
 * The name that an entry gets in a folder of the user's, as bytes. The sender chose it, so the rule is that for the name of
 * any download: no hidden file (`.bashrc`) and no option (`-rf`) appears in a folder of the user's. Throws EssError
 * `unsafe-bundle` if nothing is left of it.
 */
export function landingName(top: string): string {
  const bytes = Buffer.from(top, 'latin1')
  const name = isUtf8(bytes)
    ? Buffer.from(safeFileName(bytes.toString()) ?? '').toString('latin1')
    : top.replace(/^[\s.-]+/, '')
  if (name === '') throw unsafe('has no name that a file could have here', top)
  return name
}
