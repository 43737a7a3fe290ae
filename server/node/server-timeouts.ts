import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Attachment } from './attachment.js'
import type { RequestPort } from './ports.js'

/** How Node's HTTP server knows a connection: by its parser. */
interface ParserInside {
  readonly socket?: Socket | null
  /** The request whose head came last. */
  readonly incoming?: IncomingMessage | null
}

/** The list that Node's HTTP server keeps of its connections (ConnectionsList in src/node_http_parser.cc). */
interface ConnectionsInside {
  /** The connections whose request has taken longer than the server's timeouts allow. Each request appears once. */
  expired(headersTimeoutMs: number, requestTimeoutMs: number): ParserInside[]
  /** The connections whose last request is complete. `closeIdleConnections` ends them, and so does `close`. */
  idle(): ParserInside[]
}

/** Requests and connections that a server must leave alone, though Node takes them for late or idle. */
export interface Exceptions {
  mayTakeLong(request: IncomingMessage): boolean
  isInUse(connection: Socket): boolean
}

let connectionsKey: symbol | undefined
const excepted = new Attachment<ConnectionsInside, true>('excepted')

/**
 * Makes the HTTP server of this request's connection obey `exceptions`; Node's documented timeouts are for all of its
 * requests. Call it for each such request: the first call changes the server. Returns false if the server has no list
 * of connections. A server that doesn't listen has none, and no timeouts either.
 */
export function exceptFromTimeouts(request: RequestPort, exceptions: Exceptions): boolean {
  // Node's types leave out the HTTP server, which is here even if another server has accepted the connection.
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
