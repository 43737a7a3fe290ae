import type { Facts } from '../facts.js'
import type { Link } from './link.js'
import type { Known } from './offer.js'

/** The page of a link, which the script takes over. */
export interface LinkPage {
  readonly page: HTMLElement
  readonly facts: Facts
  readonly link: Link
  readonly known: Known
  readonly isReady: boolean
  /** The key behind the # of the page's address. */
  readonly key: string | undefined
  /** Why there is none, if there is the rest of one. */
  readonly keyProblem: string | undefined
}
