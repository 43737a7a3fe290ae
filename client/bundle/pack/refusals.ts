import { EssError } from '../../../shared/index.js'

/** Something that can't be sent. */
export interface Refusal {
  /** Its path, fit for a message. */
  readonly path: string
  /** Follows a colon, without a full stop. */
  readonly why: string
  /** True for a link that may only be sent as what it leads to. */
  readonly isLink?: boolean
  /** True if it was named to be sent. */
  readonly isNamed?: boolean
}

/** How many a message names. More would fill the terminal. */
const MAX_NAMED = 3

/** One error for all that the walk found: they can be mended or left out at once. */
export function cannotSend(refusals: readonly Refusal[]): EssError {
  const named = refusals.slice(0, MAX_NAMED).map(({ path, why }) => `${path}: ${why}`)
  const more = refusals.length - named.length
  const list = [...named, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
  return new EssError('file-unreadable', `Cannot send ${list}. ${adviceOn(refusals)}Nothing was sent.`)
}

function adviceOn(refusals: readonly Refusal[]): string {
  if (refusals.every(({ isNamed }) => isNamed)) return ''
  const it = refusals.length === 1 ? 'it' : 'them'
  return refusals.some(({ isLink }) => isLink)
    ? `Send what links lead to with -L, or leave ${it} out with --exclude. `
    : `Leave ${it} out with --exclude. `
}
