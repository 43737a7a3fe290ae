import { type IncomingMessage, ServerResponse } from 'node:http'
import { type Server, Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { WriteStream } from 'node:tty'
import { Attachment } from './attachment.js'

/*
 * The one file that touches the inside of Node, which its documentation does not promise: the handle below a socket and
 * its reading into a buffer of ours (what `onread` of `net.connect` sets up, which a server's sockets have no door to),
 * the connection below one of TLS, the parser of its HTTP server and its list of them, the head of a response, the
 * options of a listening socket, the handle of a terminal. Each has a test that fails
 * where a Node has it otherwise than Node 20 to 26; without it everything works the documented way, and costs more.
 */

/** What libuv's stream offers (lib/internal/stream_base_commons.js). */
interface Handle {
  reading: boolean
  readonly fd: number
  /** Of a handle of TLS (lib/_tls_wrap.js). */
  readonly _parentWrap: unknown
  readStart(): number
  readStop(): number
  useUserBuffer(buffer: Uint8Array): void
}

/** A socket by the names its own class uses. */
interface Internals {
  _handle?: Partial<Handle> | null
  parser?: { getCurrentBuffer?(): Buffer | undefined } | null
  [symbol: symbol]: unknown
}

/** Where a socket of Node's keeps its buffer, whom it calls when that was filled, and who gives the next one. */
const [BUFFER, ON_FILLED, NEXT_BUFFER] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
  Object.getOwnPropertySymbols(new Socket()).find(({ description }) => description === name),
)

/** True where node:http's parser is the only one that reads, and reading can be stopped. */
export function isReadByParserAlone(connection: Socket): boolean {
  const { _handle: handle } = internalsOf(connection)
  return (
    connection.listenerCount('data') === 1 &&
    connection.listenerCount('readable') === 0 &&
    [handle?.readStart, handle?.readStop].every((method) => typeof method === 'function')
  )
}

/** True where everything that reading into a buffer relies on is there. */
export function canReadIntoBuffer(connection: Socket): boolean {
  const { _handle: handle } = internalsOf(connection)
  return (
    BUFFER !== undefined &&
    ON_FILLED !== undefined &&
    NEXT_BUFFER !== undefined &&
    !('encrypted' in connection) &&
    typeof handle?.fd === 'number' &&
    handle.fd >= 0 &&
    [handle.readStart, handle.readStop, handle.useUserBuffer].every((method) => typeof method === 'function')
  )
}

/**
 * Whether what Node's parser has read so far ends with the request's head: not a byte of the body is in it. A chunked
 * body that came whole ends with an empty line too, so the line has to be the only one; and where the head's own came
 * in two pieces, the second one begins with a line break.
 */
export function isAtEndOfHead(connection: Socket): boolean {
  const current = internalsOf(connection).parser?.getCurrentBuffer?.()
  if (current === undefined || current[0] === CR || current[0] === LF) return false
  return current.indexOf(END_OF_HEAD) === current.length - END_OF_HEAD.length
}

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const [CR, LF] = END_OF_HEAD

/** What net.Socket does for its option `onread`; without `reading`, only the buffer is another one. */
export function readInto(
  connection: Socket,
  buffer: Buffer,
  reading?: { filled(bytes: Buffer): boolean; nextBuffer(): Buffer },
): void {
  const internals = internalsOf(connection)
  if (BUFFER === undefined || ON_FILLED === undefined || NEXT_BUFFER === undefined) return
  internals[BUFFER] = buffer
  if (reading !== undefined) {
    // Not as literals: see `endGently`.
    const onFilled = (length: number, filled: Buffer) => reading.filled(filled.subarray(0, length))
    const nextBuffer = () => reading.nextBuffer()
    internals[ON_FILLED] = onFilled
    internals[NEXT_BUFFER] = nextBuffer
  }
  internals._handle?.useUserBuffer?.(buffer)
}

/** Not by `pause` and `resume` of the socket, which do more than that each time. */
export function setReading(connection: Socket, isReading: boolean): void {
  const { _handle: handle } = internalsOf(connection)
  if (handle === undefined || handle === null || connection.destroyed || handle.reading === isReading) return
  handle.reading = isReading
  const error = isReading ? handle.readStart?.() : handle.readStop?.()
  if (error !== 0) connection.destroy(new Error(`Expected to ${isReading ? 'read' : 'pause'}, got ${error}`))
}

/** The descriptor of a connection; undefined where it is closed, or Node does not tell it (TLS, Windows). */
export function descriptorOf(connection: Socket): number | undefined {
  const fd = internalsOf(connection)._handle?.fd
  return fd !== undefined && fd >= 0 ? fd : undefined
}

/**
 * Has what is written to a terminal wait in memory while someone has stopped it (Ctrl-S). As Node opens it, a write would
 * wait for it, and the whole process with that. Without effect on whatever is no terminal.
 */
export function neverBlock(output: Writable): void {
  if (!(output instanceof WriteStream)) return
  // The same object, by what Node's own types leave out.
  const { _handle: handle } = output as { readonly _handle?: { setBlocking?(isOn: boolean): number } }
  handle?.setBlocking?.(false)
}

/** What a TLS connection of Node's goes over; undefined for any other, and where Node has it elsewhere. */
export function socketBelow(connection: Socket): Socket | undefined {
  const below = internalsOf(connection)._handle?._parentWrap
  return below instanceof Socket ? below : undefined
}

/** The same object, by what Node's own types leave out. */
function internalsOf(connection: Socket): Internals {
  return connection as unknown as Internals
}

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

/** How a server of Node's HTTP knows a connection: by its parser. */
interface ParserInside {
  readonly socket?: Socket | null
  /** The request whose head came last. */
  readonly incoming?: IncomingMessage | null
}

/** The list that a server of Node's HTTP keeps of its connections (ConnectionsList in src/node_http_parser.cc). */
interface ConnectionsInside {
  /** Those whose request has taken longer than the server's timeouts allow. Each request is told of once. */
  expired(headersTimeoutMs: number, requestTimeoutMs: number): ParserInside[]
  /** Those whose last request is complete: `closeIdleConnections` ends them, and so does `close`. */
  idle(): ParserInside[]
}

/** What a server must leave alone, though Node takes it for late or for idle. */
export interface Exceptions {
  mayTakeLong(request: IncomingMessage): boolean
  isInUse(connection: Socket): boolean
}

let connectionsKey: symbol | undefined
const excepted = new Attachment<ConnectionsInside, true>('excepted')

/**
 * Has the HTTP server of this request's connection leave alone what `exceptions` says: one request, where Node's
 * documentation only has timeouts for all of them. Called for each such request, whose server is changed by the first.
 * False where the server has no list: one that doesn't listen has none, and no timeouts.
 */
export function exceptFromTimeouts(request: IncomingMessage, exceptions: Exceptions): boolean {
  // What Node's own types leave out: the server of HTTP, also where another one has taken the connection in.
  const { server } = request.socket as unknown as { server?: object | null }
  const connections = connectionsOf(server)
  if (connections === undefined) return false
  if (excepted.get(connections) !== true) except(connections, exceptions)
  return true
}

function except(connections: ConnectionsInside, { mayTakeLong, isInUse }: Exceptions): void {
  excepted.set(connections, true)
  const { expired, idle } = connections
  const isLate = ({ incoming }: ParserInside) =>
    incoming === undefined || incoming === null || incoming.complete || !mayTakeLong(incoming)
  const isIdle = ({ socket }: ParserInside) => socket === undefined || socket === null || !isInUse(socket)
  // Not as literals: see `endGently`.
  const findExpired = (headersTimeoutMs: number, requestTimeoutMs: number) =>
    expired.call(connections, headersTimeoutMs, requestTimeoutMs).filter(isLate)
  const findIdle = () => idle.call(connections).filter(isIdle)
  connections.expired = findExpired
  connections.idle = findIdle
}

function connectionsOf(server: object | null | undefined): ConnectionsInside | undefined {
  if (server === undefined || server === null) return undefined
  connectionsKey ??= Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'http.server.connections',
  )
  if (connectionsKey === undefined) return undefined
  const list = (server as Readonly<Record<symbol, Partial<ConnectionsInside> | undefined>>)[connectionsKey]
  const isAsKnown = [list?.expired, list?.idle].every((method) => typeof method === 'function')
  // Both of its methods are there.
  return isAsKnown ? (list as ConnectionsInside) : undefined
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
