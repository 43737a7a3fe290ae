import { type IncomingMessage, ServerResponse } from 'node:http'
import type { ResponsePort } from './ports.js'

/** Where Node keeps the head of a response: `_storeHeader` in lib/_http_outgoing.js fills these members. */
interface ResponseInside {
  _header: string | null
  /** True if the connection ends with this response. */
  _last: boolean
  _keepAliveTimeout: number
  _defaultKeepAlive: boolean
  chunkedEncoding: boolean
  maxRequestsOnConnectionReached?: boolean
}

/** How a body shows its end: by its length, by Node's chunks, or by chunks that the caller makes. */
export type Framing = number | 'chunked' | 'own chunks'

/** True if this Node's responses have the members that `storeHead` fills in. */
const isStorable = looksAsKnown(new ServerResponse({ method: 'GET' } as IncomingMessage))

/**
 * Gives a response its head as text; `statusLine` and `fields` are whole lines. Node would build the head from an
 * object, and check every character of what is always the same: a tenth of the cost of a short transfer. Returns
 * false, and changes nothing, where this can't be done or where a host has a say in the head.
 */
export function storeHead(
  response: ResponsePort,
  statusLine: string,
  fields: string,
  framing: Framing,
  isLast: boolean | 'unsaid',
): boolean {
  if (!isStorable || !isOurs(response)) return false
  const inside = response as ServerResponse & ResponseInside
  const closes =
    isLast !== false || !response.shouldKeepAlive || inside.maxRequestsOnConnectionReached === true
  inside._last = closes
  inside.chunkedEncoding = framing === 'chunked'
  const frame =
    typeof framing === 'number' ? `Content-Length: ${framing}\r\n` : 'Transfer-Encoding: chunked\r\n'
  const keeps = `Connection: keep-alive\r\n${keepAlive(inside)}`
  const said = closes ? 'Connection: close\r\n' : keeps
  const connection = isLast === 'unsaid' ? '' : said
  inside._header = `${statusLine}${fields}Date: ${httpDate()}\r\n${connection}${frame}\r\n`
  return true
}

function keepAlive({ _keepAliveTimeout: ms, _defaultKeepAlive: isDefault }: ResponseInside): string {
  return ms > 0 && isDefault ? `Keep-Alive: timeout=${Math.floor(ms / 1000)}\r\n` : ''
}

/** True for HTTP/1.1, before the head is out, if the embedder has added no field and replaced no `writeHead`. */
function isOurs(response: ResponsePort): response is ServerResponse {
  return (
    response instanceof ServerResponse &&
    !response.headersSent &&
    response.req.httpVersion === '1.1' &&
    response.writeHead === ServerResponse.prototype.writeHead &&
    response.sendDate &&
    response.getHeaderNames().length === 0
  )
}

function looksAsKnown(response: object): boolean {
  const known: Readonly<Record<keyof ResponseInside, string>> = {
    _header: 'object',
    _last: 'boolean',
    _keepAliveTimeout: 'number',
    _defaultKeepAlive: 'boolean',
    chunkedEncoding: 'boolean',
    maxRequestsOnConnectionReached: 'boolean',
  }
  const inside = response as Readonly<Record<string, unknown>>
  return Object.entries(known).every(([name, type]) => typeof inside[name] === type)
}

let date = ''
let dateSecond = 0

/** The date as HTTP writes it (RFC 9110, 5.6.7), made once a second. */
function httpDate(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    date = new Date(1000 * second).toUTCString()
  }
  return date
}
