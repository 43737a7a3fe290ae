import type { IncomingHttpHeaders } from 'node:http'
import { EssError } from '../../shared/index.js'

const WHOLE_NUMBER = /^\d{1,15}$/

/** A field of a request; undefined if it is absent or empty. */
export function fieldOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name]
  if (value === undefined) return undefined
  return (typeof value === 'string' ? value : value.join(',')).trim() || undefined
}

/** The same as a number. Throws EssError `bad-request` for a field that is there and no whole number. */
export function wholeNumberIn(headers: IncomingHttpHeaders, name: string): number | undefined {
  const text = fieldOf(headers, name)
  if (text === undefined) return undefined
  if (WHOLE_NUMBER.test(text)) return Number(text)
  throw new EssError('bad-request', `The field ${name} must be a whole number, not ${JSON.stringify(text)}.`)
}
