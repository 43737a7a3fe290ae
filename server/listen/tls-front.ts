import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { setCarrier } from '../node/linger.js'
import type { Certificate } from './tls.js'

/** How long a client may take for its handshake. */
const HANDSHAKE_TIMEOUT_MS = 30_000

/** Whoever speaks a protocol on a connection, by its name in ALPN (RFC 7301). */
export type Protocols = Readonly<Record<string, (connection: TLSSocket) => void>>

/** The TLS before a server. */
export interface Front {
  /** Lets go of those that have not shaken hands yet. */
  close(): void
}

/**
 * Puts TLS before a server of plain HTTP/1.1, which keeps all of its settings: its connections have their handshake
 * first, and come to it after that, or to the one of `protocols` that the client has chosen. A server of Node's that
 * does both (`https`) would keep the TCP connection below to itself, without which nothing can be reset.
 */
export function secure(server: Server, certificate: Certificate, protocols: Protocols = {}): Front {
  const speakHttp1 = server.listeners('connection')
  /** Those whose handshake is not over, by their other end: nobody else knows of them. */
  const newcomers = new Map<string, Socket>()
  const tls = createServer({
    ALPNProtocols: [...Object.keys(protocols), 'http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  })
  tls
    .on('secureConnection', (connection) => {
      const carrier = newcomers.get(nameOf(connection))
      // It has left in this very moment.
      if (carrier === undefined) {
        connection.destroy()
        return
      }
      newcomers.delete(nameOf(connection))
      setCarrier(connection, carrier)
      const speak = protocols[connection.alpnProtocol || 'http/1.1']
      if (speak !== undefined) speak(connection)
      // Node's own listener, as it would have been called.
      else for (const listener of speakHttp1) Reflect.apply(listener, server, [connection])
    })
    // Not TLS, or not a version or a cipher that both speak: there is nothing to say that it would understand.
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

/** The other end of a connection: no two to the same server have the same one at the same time. */
function nameOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return [remoteAddress, remotePort, localAddress, localPort].join()
}
