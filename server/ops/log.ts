import { createHmac, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { type DestinationStream, type Logger, pino } from 'pino'
import { NodeUnreached } from '../answer/node-away.js'
import type { SocketInfo, SocketStats } from '../broker/events.js'
import type { FlagValues } from '../broker/option-kinds.js'
import type { Service } from '../broker/service.js'
import { clientAddress } from '../request/client-address.js'
import { textLine } from './log-text.js'
import type { Outlet } from './outlet.js'

/** How the log is written: lines for people, one JSON object a line, or not at all. */
export type LogFormat = FlagValues['log format']

/** The fields that all lines about a socket share. The request is its sender's, or the one that reserved it. */
interface Subject {
  readonly request: string
  readonly from: string
  readonly socket: string
}

/** The events that end a socket. */
const ENDS = ['socket:end', 'socket:timeout', 'socket:moved', 'error:socket'] as const

/** The log of a service. */
export interface Log {
  /** Writes a line about the server itself. */
  note(message: string): void
  /** The same, of something that the operator has to mend. */
  warn(message: string): void
  /** How many lines couldn't be written so far. */
  lost(): number
}

/** Lines about the server itself alone, for a process that has no service. */
export function logNotes(format: LogFormat, outlet: Outlet): Log {
  const logger = loggerOf(format, outlet)
  return {
    note: (message) => logger?.info(message),
    warn: (message) => logger?.warn(message),
    lost: () => (logger === undefined ? 0 : outlet.lost),
  }
}

/**
 * Writes a line to `outlet` for each event of a service. An id is as good as the file, so the log has only a hash of it
 * by `key`: the same within one run of the server, and useless outside.
 */
export function logService(
  service: Service,
  format: LogFormat,
  outlet: Outlet,
  key: Uint8Array = randomBytes(32),
): Log {
  const logger = loggerOf(format, outlet)
  if (logger === undefined) return { note: () => undefined, warn: () => undefined, lost: () => 0 }
  const socketHash = ({ id }: SocketInfo) => createHmac('sha256', key).update(id).digest('hex').slice(0, 12)
  const nameRequest = requestNames()
  const addressOf = (request: IncomingMessage) => clientAddress(request, service.options.trust)
  const subjects = new WeakMap<SocketInfo, Subject>()

  const begin = (socket: SocketInfo, request: IncomingMessage): Subject => {
    const hash = subjects.get(socket)?.socket ?? socketHash(socket)
    const subject = { request: nameRequest(request), from: addressOf(request), socket: hash }
    subjects.set(socket, subject)
    return subject
  }
  const logEnd = (socket: SocketInfo, stats: SocketStats) => {
    const { outcome, bytes, durationMs, confirmed, gear } = stats
    logger.info({ ...subjects.get(socket), outcome, bytes, durationMs, confirmed, gear }, 'ended')
  }
  service.on('socket:reserved', (socket, _id, _query, request) => {
    logger.info(begin(socket, request), 'reserved')
  })
  service.on('socket:opened', (socket, _id, _query, request) => {
    logger.info({ ...begin(socket, request), bytes: socket.contentLength }, 'opened')
  })
  service.on('socket:connected', (socket, request) => {
    const waitedMs = Math.round(socket.ageMs)
    const receiver = { request: nameRequest(request), from: addressOf(request) }
    logger.info({ ...receiver, socket: subjects.get(socket)?.socket, waitedMs }, 'receiver connected')
  })
  service.on('socket:interrupted', (socket, side) => {
    logger.info({ ...subjects.get(socket), side }, 'interrupted')
  })
  service.on('socket:resumed', (socket, offset) => {
    logger.info({ ...subjects.get(socket), offset }, 'resumed')
  })
  service.on('socket:reopened', (socket, _id, _query, request) => {
    logger.info({ ...begin(socket, request), bytes: socket.contentLength }, 'opened again')
  })
  for (const event of ENDS) service.on(event, logEnd)
  service.on('request:refused', (error, request) => {
    const who = { request: nameRequest(request), from: addressOf(request) }
    if (error.code === 'internal-error') logger.error({ ...who, err: error.cause }, 'bug')
    else logger.info({ ...who, method: request.method, code: error.code, ...nodeIn(error.cause) }, 'refused')
  })
  return {
    note: (message) => logger.info(message),
    warn: (message) => logger.warn(message),
    lost: () => outlet.lost,
  }
}

/** The node that could not be reached, and why, if that was the cause. */
function nodeIn(cause: unknown) {
  if (!(cause instanceof NodeUnreached)) return {}
  return { node: cause.node, address: cause.address, why: cause.message }
}

function loggerOf(format: LogFormat, outlet: Outlet): Logger | undefined {
  if (format === 'off') return undefined
  const lines: DestinationStream = {
    write: (line) => outlet.write(format === 'json' ? line : textLine(line)),
  }
  const logger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, lines)
  outlet.onMended((lost) => logger.warn({ lost }, 'lines of this log could not be written'))
  return logger
}

/**
 * Names each request by a random prefix of this run and a number: short, and different from the names of other runs. A
 * request keeps its name.
 */
function requestNames(): (request: IncomingMessage) => string {
  const run = randomBytes(3).toString('hex')
  const names = new WeakMap<IncomingMessage, string>()
  let count = 0
  return (request) => {
    const known = names.get(request)
    if (known !== undefined) return known
    count++
    const name = `${run}-${count}`
    names.set(request, name)
    return name
  }
}
