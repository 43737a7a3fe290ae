import { createHmac, randomBytes } from 'node:crypto'
import type { Writable } from 'node:stream'
import { pino } from 'pino'
import pretty from 'pino-pretty'
import type { SocketInfo } from './events.js'
import type { Service } from './service.js'

/** How a log is written: a line for people, a JSON object a line, or nothing. */
export type LogFormat = 'text' | 'json' | 'off'

/**
 * Writes what a service does to `destination`, a line an event. Whoever has an id has the file, so a log shows
 * only a keyed hash of it: the same within one run of the server, useless outside.
 */
export function logService(service: Service, format: LogFormat, destination: Writable): void {
  if (format === 'off') return
  const logger = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    format === 'json' ? destination : pretty({ destination, colorize: false, sync: true, singleLine: true }),
  )
  const key = randomBytes(32)
  const socketHash = ({ id }: SocketInfo) => createHmac('sha256', key).update(id).digest('hex').slice(0, 12)

  service.on('socket:opened', (socket) => {
    logger.info({ socket: socketHash(socket), bytes: socket.contentLength }, 'opened')
  })
  service.on('socket:connected', (socket) => {
    logger.info({ socket: socketHash(socket), waitedMs: Date.now() - socket.openedAt }, 'receiver connected')
  })
  service.on('socket:end', (socket, { outcome, bytes, durationMs, confirmed }) => {
    logger.info({ socket: socketHash(socket), outcome, bytes, durationMs, confirmed }, 'ended')
  })
  service.on('request:refused', (error, request) => {
    const from = request.socket.remoteAddress
    if (error.code === 'internal-error') logger.error({ from, err: error.cause }, 'bug')
    else logger.info({ from, method: request.method, code: error.code }, 'refused')
  })
}
