/** Secret keys of age, in either case, whole or not. A message may also name the kind of key, and that stays. */
const KEYS = /(AGE-SECRET-KEY-(?:PQ-)?1)[A-Z0-9]{4,}/gi

/** The same text, fit to be shown: it may quote what was typed, and with that a key. */
export function withoutKeys(text: string): string {
  return text.replace(KEYS, '$1…')
}
