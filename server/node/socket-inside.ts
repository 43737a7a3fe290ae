import type { ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { ConnectionPort } from './ports.js'

/*
 * The inside of Node's sockets, which its documentation doesn't promise: the handle below a socket, its reading into a
 * buffer of ours (`net.connect` has `onread` for that, a server's sockets have nothing), the connection below a TLS
 * one, and the buffer of the HTTP parser. A test fails where a Node differs from Node 20 to 26. On such a Node
 * everything still works the documented way, at a higher cost.
 */

/** A stream of libuv's (lib/internal/stream_base_commons.js). */
interface Handle {
  reading: boolean
  readonly fd: number
  /** On a TLS handle (lib/_tls_wrap.js). */
  readonly _parentWrap: unknown
  readStart(): number
  readStop(): number
  useUserBuffer(buffer: Uint8Array): void
}

/** A socket by the names its own class uses. */
interface Internals {
  _handle?: Partial<Handle> | null
  parser?: { getCurrentBuffer?(): Buffer | undefined; remove?(): void } | null
  /** The response that the connection belongs to (lib/_http_outgoing.js). */
  _httpMessage?: ServerResponse | null
  [symbol: symbol]: unknown
}

/** Where a socket keeps its buffer, the function it calls when the buffer is filled, and the one that gives the next. */
const [BUFFER, ON_FILLED, NEXT_BUFFER] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
  Object.getOwnPropertySymbols(new Socket()).find(({ description }) => description === name),
)

/** True if only node:http's parser reads this connection, and reading can be stopped. */
export function isReadByParserAlone(connection: Socket): boolean {
  const { _handle: handle } = internalsOf(connection)
  return (
    connection.listenerCount('data') === 1 &&
    connection.listenerCount('readable') === 0 &&
    [handle?.readStart, handle?.readStop].every((method) => typeof method === 'function')
  )
}

/** True if everything that reading into a buffer needs is there. */
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
 * True if what Node's parser has read so far ends with the request's head, with no byte of the body. A chunked body
 * that came whole ends with an empty line too, so this must be the only empty line. If the head's own came in two
 * pieces, the second piece begins with a line break.
 */
export function isAtEndOfHead(connection: Socket): boolean {
  const current = internalsOf(connection).parser?.getCurrentBuffer?.()
  if (current === undefined || current[0] === CR || current[0] === LF) return false
  return current.indexOf(END_OF_HEAD) === current.length - END_OF_HEAD.length
}

const END_OF_HEAD = Buffer.from('\r\n\r\n')
const [CR, LF] = END_OF_HEAD

/**
 * Takes a connection from Node's HTTP server, and leaves it paused, with no listener but those for its end. What the
 * parser has read stays in its request. Returns false, and changes nothing, where this Node can't do so. Don't call it
 * while the parser runs.
 */
export function takeFromParser(connection: Socket): boolean {
  const { parser } = internalsOf(connection)
  if (typeof parser?.remove !== 'function' || !isReadByParserAlone(connection)) return false
  connection.pause()
  // For such a listener node:http takes its parser off the connection (`unconsume` in lib/_http_server.js).
  connection.on('data', ignore)
  for (const event of ['data', 'end', 'drain', 'error', 'timeout']) connection.removeAllListeners(event)
  // From Node's list of connections: the server would close it as an idle one. Node frees the parser on 'close'.
  parser.remove()
  connection.setTimeout(0)
  // An error without a listener is a crash. What is said of it is its 'close', and after an error of TLS none comes.
  connection.on('error', closeBroken)
  // The stream believes that it is reading since the parser began to read for it. Now it reads when it is asked.
  connection.push(NOTHING)
  return true
}

const NOTHING = Buffer.alloc(0)

function ignore(): void {}

/** Not a literal: see `endGently`. */
function closeBroken(this: Socket): void {
  this.destroy()
}

/** Does what net.Socket does for its option `onread`. Without `reading`, only the buffer changes. */
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

/** Starts or stops reading at the handle. The socket's own `pause` and `resume` do more than that each time. */
export function setReading(connection: Socket, isReading: boolean): void {
  const { _handle: handle } = internalsOf(connection)
  if (handle === undefined || handle === null || connection.destroyed || handle.reading === isReading) return
  handle.reading = isReading
  const error = isReading ? handle.readStart?.() : handle.readStop?.()
  if (error !== 0) connection.destroy(new Error(`Expected to ${isReading ? 'read' : 'pause'}, got ${error}`))
}

/** The file descriptor of a connection. Undefined if it is closed, or Node has none to give (TLS, HTTP/2, Windows). */
export function descriptorOf(connection: ConnectionPort): number | undefined {
  const fd = internalsOf(connection)._handle?.fd
  return fd !== undefined && fd >= 0 ? fd : undefined
}

/** The connection below one of Node's TLS connections. Undefined for any other, and where Node keeps it elsewhere. */
export function socketBelow(connection: ConnectionPort): Socket | undefined {
  const below = internalsOf(connection)._handle?._parentWrap
  return below instanceof Socket ? below : undefined
}

/** The same object, with members that Node's types leave out. */
function internalsOf(connection: ConnectionPort): Internals {
  return connection as unknown as Internals
}

/**
 * Resolves when the answer that is written to this connection now has been given to it, if all of it is written, or when the
 * connection has closed. Over TLS that comes later than the client's next request: the client has read the answer then, and
 * this process still reads what came before, or waits for its turn to be told.
 */
export async function answerAheadIsOut(connection: Socket): Promise<void> {
  for (;;) {
    const { _httpMessage: ahead } = internalsOf(connection)
    if (!ahead?.writableEnded || ahead.writableFinished || connection.destroyed) return
    // Before that, Node has given the connection to the next one.
    await new Promise<void>((resolve) => {
      ahead.once('finish', resolve).once('close', resolve)
    })
  }
}
