import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { setCarrier } from './linger.js'
import type { Certificate } from './tls.js'

/** How long a client may take for its handshake. */
const HANDSHAKE_TIMEOUT_MS = 30_000

/** Whoever speaks a protocol on a connection; ours by their names in ALPN (RFC 7301). */
export type Protocols = Readonly<Record<string, (connection: TLSSocket) => void>>

/** The TLS before a server. */
export interface Front {
  /** Lets go of those that have not shaken hands yet. */
  close(): void
}

/**
 * Puts TLS before a server of plain HTTP/1.1, which keeps all of its settings: its connections are shaken hands
 * with here, and come to it, or to the one of `protocols` that the client has chosen, when that is done. By
 * `tls.Server` nobody would have the TCP connection below, without which nothing can be reset; and each
 * connection begins with the certificate of its moment.
 */
export function secure(server: Server, certificate: Certificate, protocols: Protocols = {}): Front {
  const speakHttp1 = server.listeners('connection')
  /** Those whose hands are being shaken: nobody else knows of them. */
  const newcomers = new Set<Socket>()
  const ALPNProtocols = [...Object.keys(protocols), 'http/1.1']
  server.removeAllListeners('connection').on('connection', (carrier: Socket) => {
    const connection = new TLSSocket(carrier, {
      isServer: true,
      secureContext: certificate.context(),
      ALPNProtocols,
    })
    setCarrier(connection, carrier)
    newcomers.add(carrier)
    const deadline = setTimeout(() => carrier.destroy(), HANDSHAKE_TIMEOUT_MS)
    const leave = () => {
      clearTimeout(deadline)
      newcomers.delete(carrier)
    }
    // Not TLS, or not a version or a cipher that both speak: there is nothing to say that it would understand.
    const refuse = () => carrier.destroy()
    connection
      .on('error', refuse)
      .once('close', leave)
      .once('secure', () => {
        leave()
        connection.off('error', refuse)
        const speak = protocols[connection.alpnProtocol || 'http/1.1']
        if (speak !== undefined) speak(connection)
        // Node's own listener, as it would have been called.
        else for (const listener of speakHttp1) Reflect.apply(listener, server, [connection])
      })
  })
  return {
    close: () => {
      for (const carrier of newcomers) carrier.destroy()
    },
  }
}
