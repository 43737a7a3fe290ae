import { EssError } from '../../shared/index.js'
import { flagOf, type OptionName } from './options.js'
import type { Words } from './parser.js'

/** Options that can't be given together, each with why. */
const TOGETHER: readonly (readonly [one: OptionName, other: OptionName, why: string])[] = [
  ['text', 'name', 'a text has no name'],
  ['text', 'exclude', 'a text is no folder'],
  ['text', 'gitignore', 'a text is no folder'],
  ['text', 'dereference', 'a text is no folder'],
  ['to', 'password', 'it is for keys or for a password, and not for both'],
  ['toFile', 'password', 'it is for keys or for a password, and not for both'],
]

/** Options that say how to encrypt. Each of them says that, too. */
export const WAYS_TO_ENCRYPT = ['to', 'toFile', 'password'] as const satisfies readonly OptionName[]

/** Throws EssError `usage` for options that can't be given together. */
export function checkTogether({ options }: Words): void {
  for (const [one, other, why] of TOGETHER)
    if (options[one] !== undefined && options[other] !== undefined)
      throw contradiction(flagOf(one), flagOf(other), why)
  if (options.encrypt !== false) return
  const way = WAYS_TO_ENCRYPT.find((name) => options[name] !== undefined)
  if (way !== undefined) throw contradiction('no-encrypt', flagOf(way), `--${flagOf(way)} encrypts`)
}

function contradiction(one: string, other: string, why: string): EssError {
  return new EssError('usage', `--${one} and --${other} don't go together: ${why}. Leave out one of them.`)
}
