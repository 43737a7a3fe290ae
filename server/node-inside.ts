import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'node:net'

/*
 * What is used of the inside of Node's servers and responses, which its documentation does not promise. Each has a test
 * that fails where a Node has it otherwise; without it everything works the documented way, and costs more.
 */

/** What a server of Node's sets on each connection that it takes in, and the listening handle that could do it once. */
interface ServerInside {
  _handle?: {
    setNoDelay?(isOn: boolean): number
    setKeepAlive?(isOn: boolean, seconds: number): number
  } | null
  noDelay?: boolean
  keepAlive?: boolean
}

/**
 * Sets on the listening socket what its connections shall have, no delay and keep-alive, instead of on each of them:
 * that is five calls of the kernel's. For a server that listens. Without effect where Linux's rule, that a connection
 * has the options of the socket it came by, does not hold.
 */
export function setOptionsOnce(server: Server, keepAliveSeconds: number): void {
  if (process.platform !== 'linux') return
  // The same object, by what Node's own types leave out.
  const inside = server as unknown as ServerInside
  const handle = inside._handle
  const isSet =
    typeof inside.noDelay === 'boolean' &&
    typeof inside.keepAlive === 'boolean' &&
    handle?.setNoDelay?.(true) === 0 &&
    handle.setKeepAlive?.(true, keepAliveSeconds) === 0
  if (isSet) [inside.noDelay, inside.keepAlive] = [false, false]
}

/** A response whose head can be given as text: `_storeHeader` in lib/_http_outgoing.js is what fills these. */
interface ResponseInside {
  _header: string | null
  /** True where the connection ends with this response. */
  _last: boolean
  _keepAliveTimeout: number
  _defaultKeepAlive: boolean
  chunkedEncoding: boolean
  maxRequestsOnConnectionReached?: boolean
}

/** How the end of a body is told: by its length, by Node's chunks, or by chunks that whoever writes it makes. */
export type Framing = number | 'chunked' | 'own chunks'

/** True where a response of Node's has what `storeHead` fills in. */
const isStorable = looksAsKnown(new ServerResponse({ method: 'GET' } as IncomingMessage))

/**
 * Gives a response its head as text, `statusLine` and `fields` being whole lines. Node would put it together from an
 * object, and look at every character of what is always the same: that is a tenth of a short transfer. False where it
 * cannot be done, or where somebody else has a say in the head; nothing is changed then.
 */
export function storeHead(
  response: ServerResponse,
  statusLine: string,
  fields: string,
  framing: Framing,
  isLast: boolean,
): boolean {
  if (!isStorable || !isOurs(response)) return false
  const inside = response as ServerResponse & ResponseInside
  const closes = isLast || !response.shouldKeepAlive || inside.maxRequestsOnConnectionReached === true
  inside._last = closes
  inside.chunkedEncoding = framing === 'chunked'
  const frame =
    typeof framing === 'number' ? `Content-Length: ${framing}\r\n` : 'Transfer-Encoding: chunked\r\n'
  const connection = closes ? 'Connection: close\r\n' : `Connection: keep-alive\r\n${keepAlive(inside)}`
  inside._header = `${statusLine}${fields}Date: ${httpDate()}\r\n${connection}${frame}\r\n`
  return true
}

function keepAlive({ _keepAliveTimeout: ms, _defaultKeepAlive: isDefault }: ResponseInside): string {
  return ms > 0 && isDefault ? `Keep-Alive: timeout=${Math.floor(ms / 1000)}\r\n` : ''
}

/** Not by HTTP/2, not begun, and without fields or a `writeHead` of an embedder's. */
function isOurs(response: ServerResponse): boolean {
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

/** The date as HTTP writes it (RFC 9110, 5.6.7): made once a second. */
function httpDate(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    date = new Date(1000 * second).toUTCString()
  }
  return date
}
