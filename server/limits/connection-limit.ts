import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { type EssError, formatCount } from '../../shared/index.js'
import { networkOf } from '../request/client-address.js'
import type { Trust } from '../request/public-url.js'
import { Shares } from './shares.js'

/** Twice the sum of a client's other limits: 32 transfers with both ends, and 32 waiting requests. */
export const MAX_CONNECTIONS_PER_CLIENT = 192

/** Which connections count, and what happens to one too many. */
export interface ConnectionLimit {
  /** Connections per client at the same time; 0 for no limit. */
  readonly most: number
  /** A trusted proxy's connections aren't counted, because they carry the requests of all clients. */
  readonly trust: Trust
  /** Ends a connection of which nothing was read. The error is an EssError `over-share`. */
  readonly refuse: (connection: Socket, error: EssError) => void
}

/**
 * Limits how many connections to `server` a client may have, idle ones included: each costs a file descriptor, and the
 * process has few. Call it last, when all other listeners are on: it runs before them, and before TLS.
 */
export function limitConnections(server: Server, { most, trust, refuse }: ConnectionLimit): void {
  if (most === 0) return
  const shares = new Shares(most)
  const listeners = server.listeners('connection')
  server.removeAllListeners('connection').on('connection', (connection: Socket) => {
    try {
      const giveBack = takeConnection(shares, connection, trust)
      if (giveBack !== undefined) connection.once('close', giveBack)
    } catch (error) {
      refuse(connection, error as EssError)
      return
    }
    for (const listener of listeners) Reflect.apply(listener, server, [connection])
  })
}

/**
 * Counts a connection for its client until you call the returned function. Undefined for one that doesn't count. Throws
 * EssError `over-share`.
 */
export function takeConnection(
  shares: Shares,
  { remoteAddress }: Socket,
  trust: Trust,
): (() => void) | undefined {
  // Without an address, the client has left already.
  if (remoteAddress === undefined || trust(remoteAddress)) return undefined
  return shares.take(() => networkOf(remoteAddress), refusal)
}

function refusal(most: number): string {
  return `You already have ${formatCount(most, 'connection')} here, the most for one client. Close one of them first.`
}
