import { createHmac, randomBytes } from 'node:crypto'
import type { Writable } from 'node:stream'
import { pino } from 'pino'
import pretty from 'pino-pretty'
import type { SocketInfo, SocketStats } from './events.js'
import type { Service } from './service.js'

/** How a log is written: a line for people, a JSON object a line, or nothing. */
export type LogFormat = 'text' | 'json' | 'off'

/**
 * Writes what a service does to `destination`, a line an event. Whoever has an id has the file, so a log shows
 * only a keyed hash of it: the same within one run of the server, useless outside. Returns what writes a line
 * about the server itself.
 */
export function logService(
  service: Service,
  format: LogFormat,
  destination: Writable,
): (message: string) => void {
  if (format === 'off') return () => undefined
  const logger = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    format === 'json'
      ? destination
      : pretty({
          destination,
          colorize: false,
          sync: true,
          singleLine: true,
          translateTime: 'UTC:yyyy-mm-dd HH:MM:ss.l',
        }),
  )
  const key = randomBytes(32)
  const socketHash = ({ id }: SocketInfo) => createHmac('sha256', key).update(id).digest('hex').slice(0, 12)

  const logEnd = (socket: SocketInfo, { outcome, bytes, durationMs, confirmed, gear }: SocketStats) => {
    logger.info({ socket: socketHash(socket), outcome, bytes, durationMs, confirmed, gear }, 'ended')
  }
  service.on('socket:reserved', (socket) => {
    logger.info({ socket: socketHash(socket) }, 'reserved')
  })
  service.on('socket:opened', (socket) => {
    logger.info({ socket: socketHash(socket), bytes: socket.contentLength }, 'opened')
  })
  service.on('socket:connected', (socket) => {
    logger.info({ socket: socketHash(socket), waitedMs: Date.now() - socket.openedAt }, 'receiver connected')
  })
  for (const event of ['socket:end', 'socket:timeout', 'error:socket'] as const) service.on(event, logEnd)
  service.on('request:refused', (error, request) => {
    const from = request.socket.remoteAddress
    if (error.code === 'internal-error') logger.error({ from, err: error.cause }, 'bug')
    else logger.info({ from, method: request.method, code: error.code }, 'refused')
  })
  return (message) => logger.info(message)
}
