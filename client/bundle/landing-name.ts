import { isUtf8 } from 'node:buffer'
import { safeFileName } from '../../shared/index.js'

/**
 * The name that a thing at the top of a bundle gets in a folder of the receiver's, as bytes: one character of a string for
 * each. The sender chose it, so the rule is that for the name of any download: no hidden file (`.bashrc`) and no option
 * (`-rf`) appears there. Undefined if nothing is left of it.
 */
export function landingName(top: string): string | undefined {
  const bytes = Buffer.from(top, 'latin1')
  if (!isUtf8(bytes)) return top.replace(/^[\s.-]+/, '') || undefined
  const name = safeFileName(bytes.toString())
  return name === undefined ? undefined : Buffer.from(name).toString('latin1')
}
