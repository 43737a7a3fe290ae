import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { EssError } from '../../shared/index.js'
import { networkOf } from '../request/client-address.js'
import type { Trust } from '../request/public-url.js'
import { Shares } from './shares.js'

/** Twice what the other shares of one client come to: 32 transfers with both ends, and 32 that wait. */
export const MAX_CONNECTIONS_PER_CLIENT = 192

/** Which connections are counted, and what becomes of those that are too many. */
export interface ConnectionLimit {
  /** Of one client at the same time; 0 for no limit. */
  readonly most: number
  /** A trusted proxy brings everybody's: its own are not counted. */
  readonly trust: Trust
  /** Ends a connection that nothing was read of, with EssError `over-share`. */
  readonly refuse: (connection: Socket, error: EssError) => void
}

/**
 * Lets a client have so many connections to a server, whatever it does with them: each costs a descriptor, of which
 * the process has only so many. It stands before everything else that takes connections, TLS among it, and so is
 * asked for last.
 */
export function limitConnections(server: Server, { most, trust, refuse }: ConnectionLimit): void {
  if (most === 0) return
  const shares = new Shares(most)
  const listeners = server.listeners('connection')
  server.removeAllListeners('connection').on('connection', (connection: Socket) => {
    const { remoteAddress } = connection
    // Without one it has left already.
    if (remoteAddress !== undefined && !trust(remoteAddress)) {
      try {
        connection.once(
          'close',
          shares.take(() => networkOf(remoteAddress), refusal),
        )
      } catch (error) {
        refuse(connection, error as EssError)
        return
      }
    }
    for (const listener of listeners) Reflect.apply(listener, server, [connection])
  })
}

function refusal(most: number): string {
  return `this client has its share of connections: ${most}`
}
