import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { setCarrier } from '../node/linger.js'
import type { Certificate } from './tls.js'

/** How long a client may take for its handshake. */
const HANDSHAKE_TIMEOUT_MS = 30_000

/** What takes over a connection, by the protocol's name in ALPN (RFC 7301). */
export type Protocols = Readonly<Record<string, (connection: TLSSocket) => void>>

/** The TLS in front of a server. */
export interface Front {
  /** Drops the connections that have not finished their handshake. */
  close(): void
}

/**
 * Puts TLS in front of a server of plain HTTP/1.1, which keeps all its settings. Each connection has its handshake
 * first. Then it goes to the server, or to the one of `protocols` that the client chose. Node's own server for both
 * (`https`) hides the TCP connection below TLS, and without that we could reset nothing.
 */
export function secure(
  server: Server,
  certificate: Pick<Certificate, 'use'>,
  protocols: Protocols = {},
): Front {
  const speakHttp1 = server.listeners('connection')
  /** Connections in their handshake, by their other end. Only this map knows of them. */
  const newcomers = new Map<string, Socket>()
  const tls = createServer({
    ALPNProtocols: [...Object.keys(protocols), 'http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  })
  tls
    .on('secureConnection', (connection) => {
      const carrier = newcomers.get(nameOf(connection))
      // The client has left at this very moment.
      if (carrier === undefined) {
        connection.destroy()
        return
      }
      newcomers.delete(nameOf(connection))
      setCarrier(connection, carrier)
      const speak = protocols[connection.alpnProtocol || 'http/1.1']
      if (speak !== undefined) speak(connection)
      // Calls Node's own listener, as the event would have.
      else for (const listener of speakHttp1) Reflect.apply(listener, server, [connection])
    })
    // It speaks no TLS, or no version or cipher of ours, so it would understand no answer.
    .on('tlsClientError', (_error, connection) => connection.destroy())
  certificate.use((pair) => tls.setSecureContext(pair))

  server.removeAllListeners('connection').on('connection', (carrier: Socket) => {
    const name = nameOf(carrier)
    newcomers.set(name, carrier)
    carrier.once('close', () => {
      if (newcomers.get(name) === carrier) newcomers.delete(name)
    })
    tls.emit('connection', carrier)
  })
  return {
    close: () => {
      for (const carrier of newcomers.values()) carrier.destroy()
    },
  }
}

/** Names the other end of a connection. At any time, each connection to a server has a name of its own. */
function nameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return [remoteAddress, remotePort, localAddress, localPort].join()
}
