import type { ServerResponse } from 'node:http'
import { type Framing, storeHead } from '../node/stored-head.js'

/** The fields of a head, by their names. */
export type Fields = Readonly<Record<string, string | number>>

/** Those that are the same in every head of a kind, as lines: what has to be looked at once. */
const fixedLines = new Map<Fields, string>()

/** Says of `fields` that they never change, and are used again and again. */
export function fixed<F extends Fields>(fields: F): F {
  fixedLines.set(fields, linesOf(fields))
  return fields
}

/** How a response ends, and whether its connection does: with or without saying so. */
export interface Body {
  readonly framing: Framing
  readonly closes: boolean | 'unsaid'
}

/**
 * Begins a response with the fields of `own`, and of `others` behind them: at once, so that what can be written with it
 * has to be corked. True where the framing is as `body` says; false where Node makes chunks of what is written, or has
 * the length. `own` is changed.
 */
export function beginResponse(
  response: ServerResponse,
  status: keyof typeof STATUS_LINES,
  own: Record<string, string | number>,
  others: readonly [Fields, Fields],
  { framing, closes }: Body,
): boolean {
  const [first, second] = others
  const lines = linesOf(own) + knownLinesOf(first) + knownLinesOf(second)
  const isStored = storeHead(response, STATUS_LINES[status], lines, framing, closes)
  if (!isStored) {
    if (typeof framing === 'number') own['Content-Length'] = framing
    if (closes === true) own['Connection'] = 'close'
    if (closes === 'unsaid') {
      // Node leaves the field out where it was removed, and goes by this one.
      response.removeHeader('Connection')
      response.shouldKeepAlive = false
    }
    response.writeHead(status, withFixedHeaders(own, ...others))
  }
  response.flushHeaders()
  return isStored
}

function knownLinesOf(fields: Fields): string {
  return fixedLines.get(fields) ?? linesOf(fields)
}

const STATUS_LINES = { 200: 'HTTP/1.1 200 OK\r\n', 201: 'HTTP/1.1 201 Created\r\n' } as const

/** What may stand in a field's value (RFC 9110, 5.5): nothing that would begin another line. */
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/

function linesOf(fields: Fields): string {
  let lines = ''
  for (const name in fields) {
    const value = String(fields[name])
    if (NO_VALUE.test(value)) throw new Error(`Expected a value for ${name}, got ${JSON.stringify(value)}`)
    lines += `${name}: ${value}\r\n`
  }
  return lines
}

/**
 * `own`, with what every head of its kind has behind it; `own` is changed. In this order, because on Node 20 a field
 * that is added to a copy of an object (`{ ...fixed, own }`) costs ten times what all others cost together: the copy
 * has a shape of its own each time.
 */
export function withFixedHeaders<Value>(
  own: Record<string, Value>,
  ...others: readonly Readonly<Record<string, Value>>[]
): Record<string, Value> {
  return Object.assign(own, ...others)
}
