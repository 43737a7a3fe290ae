/** Hebrew, Arabic, and their relatives. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u

/**
 * A name for the middle of a sentence. One that is written from right to left would turn the words and numbers beside it
 * around, so it is put between two characters that keep it apart (Unicode's FSI and PDI).
 */
export function isolated(name: string): string {
  return RIGHT_TO_LEFT.test(name) ? `\u2068${name}\u2069` : name
}
