import type { IncomingMessage } from 'node:http'
import { HEADERS } from '../../shared/index.js'
import { fieldOf, wholeNumberIn } from './fields.js'

/**
 * True for a receiver that says by another request when the file is safe: a page of a browser, whose network takes bytes
 * that the page has not seen yet.
 */
export function confirmsByItself({ headers }: IncomingMessage): boolean {
  return fieldOf(headers, HEADERS.essConfirm) === '?1'
}

/**
 * How many bytes a receiver says that it has, all of them safe; undefined if it says nothing of the kind. Throws EssError
 * `bad-request`.
 */
export function receivedIn({ headers }: IncomingMessage): number | undefined {
  return wholeNumberIn(headers, HEADERS.essReceived)
}
