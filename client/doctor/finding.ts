import type { CauseName } from './causes.js'

/** How a check came out. `note` is worth knowing and no fault; `skipped` could not be made. */
export type Verdict = 'ok' | 'note' | 'problem' | 'skipped'

/** What one check found. */
export interface Finding {
  readonly verdict: Verdict
  /** What was seen, as a sentence. */
  readonly words: string
  /** The fault behind a problem, or the reason for a note. */
  readonly cause?: CauseName
  /** True for a problem that leaves the checks behind it possible. */
  readonly goesOn?: true
}

export function ok(words: string): Finding {
  return { verdict: 'ok', words }
}

export function note(words: string, cause?: CauseName): Finding {
  return { verdict: 'note', words, ...(cause !== undefined && { cause }) }
}

/** A fault that leaves nothing for the checks behind it to look at. */
export function problem(cause: CauseName, words: string): Finding {
  return { verdict: 'problem', words, cause }
}

/** A fault beside which the checks behind it can still be made. */
export function flaw(cause: CauseName, words: string): Finding {
  return { verdict: 'problem', words, cause, goesOn: true }
}
