import { chmodSync, type Stats } from 'node:fs'
import type { LocalPath } from './local-path.js'

/** The bits without which we can't put anything into a folder. It loses those it should not have at the end. */
export const OWN_BITS = 0o700
/** The bits that we need to write a file. */
export const OWN_FILE_BITS = 0o600

/** Gives us these rights. Use it for what is in a part alone: it follows links. */
export function regain(path: LocalPath, { mode }: Stats, bits: number): void {
  if ((mode & bits) !== bits) chmodSync(path, mode | bits)
}
