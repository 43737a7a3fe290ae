import type { ResponsePort } from '../node/ports.js'
import { type Framing, storeHead } from '../node/stored-head.js'

/** The fields of a head, by their names. */
export type Fields = Readonly<Record<string, string | number>>

/** Fields that are the same in every head of a kind, as lines: they are checked and joined once. */
const fixedLines = new Map<Fields, string>()

/** Marks `fields` as constant, for objects that go into head after head. Returns them. */
export function fixed<F extends Fields>(fields: F): F {
  fixedLines.set(fields, linesOf(fields))
  return fields
}

/**
 * How the body of a response ends, and whether its connection ends too. `unsaid` closes it without a `Connection:
 * close`.
 */
export interface Body {
  readonly framing: Framing
  readonly closes: boolean | 'unsaid'
}

/**
 * Begins a response with the fields of `own`, then those of `others`. The head is written at once: cork the response
 * first if more goes out with it. True if the framing is as `body` says; false if Node itself makes the chunks or
 * counts the length. Changes `own`. Call `removeForeignFields` before.
 */
export function beginResponse(
  response: ResponsePort,
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
    // Said, because Node makes no chunks of its own accord where a field of this name was removed.
    else if (response.req.httpVersion !== '1.0') own['Transfer-Encoding'] = 'chunked'
    if (closes === true) own['Connection'] = 'close'
    if (closes === 'unsaid') {
      // Node leaves a removed field out, and then decides by `shouldKeepAlive`.
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

const STATUS_LINES = {
  200: 'HTTP/1.1 200 OK\r\n',
  201: 'HTTP/1.1 201 Created\r\n',
  206: 'HTTP/1.1 206 Partial Content\r\n',
} as const

/** What a field's value must not contain (RFC 9110, 5.5), such as a line end. */
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
 * Adds the fields of `others` to `own`, and returns it. It isn't `{ ...fixed, own }`, because that copy has a shape of
 * its own each time: on Node 20, one field added to it costs ten times as much as all the others together.
 */
export function withFixedHeaders<Value>(
  own: Record<string, Value>,
  ...others: readonly Readonly<Record<string, Value>>[]
): Record<string, Value> {
  return Object.assign(own, ...others)
}
