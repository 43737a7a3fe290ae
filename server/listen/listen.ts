import { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { EssError } from '../../shared/index.js'
import { checkOptionNames, kindOf } from '../../shared/option-names.js'
import { nearestName } from '../broker/nearest-name.js'
import { OPTIONS } from '../broker/option-table.js'
import { wholeNumber } from '../broker/options.js'
import type { Service } from '../broker/service.js'
import { brokerOf, type EmbeddedService } from '../embed.js'
import type { Answers } from '../http2/server.js'
import { limitConnections, MAX_CONNECTIONS_PER_CLIENT } from '../limits/connection-limit.js'
import { setOptionsOnce } from '../node/listening-options.js'
import { refuseBare } from './bare-answers.js'
import { HSTS_MAX_AGE } from './hsts.js'
import { KEEP_ALIVE_PROBE_MS, speak } from './speak.js'
import { type CertificateReport, type TlsOptions, watchCertificate } from './tls.js'

/** Where to listen, and how. */
export interface ListenOptions {
  /** An address or a name. Default: 127.0.0.1, which only this machine can reach. */
  readonly host?: string
  /** The port. 0 takes a free one. Default: 9000. */
  readonly port?: number
  /** Serves HTTPS with this certificate. Default: plain HTTP. */
  readonly tls?: TlsOptions
  /**
   * Maximum connections per client at the same time; 0 for no limit. Default: 192. One more is refused with 429
   * `over-share`, or with TLS closed without an answer. Connections from a proxy in the service's `trustProxy` don't
   * count.
   */
  readonly maxConnectionsPerClient?: number
}

const LISTEN_OPTIONS = {
  host: true,
  port: true,
  tls: true,
  maxConnectionsPerClient: true,
} as const satisfies Record<keyof ListenOptions, true>

const TLS_OPTIONS = {
  certFile: true,
  keyFile: true,
  minVersion: true,
  hstsMaxAge: true,
  onReload: true,
} as const satisfies Record<keyof TlsOptions, true>

/** A server that listens. */
export interface Listening {
  /** The server's own address as a URL, with the real port. */
  readonly url: string
  readonly port: number
  /** The facts about its certificate; undefined without TLS. */
  readonly certificate: CertificateReport | undefined
  /** Reads the certificate's files again at once. Does nothing without TLS. */
  reload(): Promise<void>
  /**
   * Stops gently: tells waiting senders, lets running transfers go on for `drainMs`, then fails the rest. A node of a
   * cluster takes no new connections from clients meanwhile, because its other nodes do. Resolves when the last
   * connection is closed.
   */
  stop(drainMs: number): Promise<void>
  /** Stops at once. Running transfers fail, and both sides are told so. */
  stopNow(): Promise<void>
}

/**
 * Serves a service over HTTP/1.1, and with TLS over HTTP/2 too. Rejects with Node's own error if the address can't be
 * had, with an Error that names the trouble if the certificate is unusable, and with EssError `usage` for a wrong
 * option.
 */
export async function listen(embedded: EmbeddedService, options: ListenOptions = {}): Promise<Listening> {
  const service = checkCall(embedded, options)
  const { host = OPTIONS.host.default, port = OPTIONS.port.default } = options
  const most = wholeNumber(
    'maxConnectionsPerClient',
    options.maxConnectionsPerClient ?? MAX_CONNECTIONS_PER_CLIENT,
    0,
    'connections',
  )
  const hstsMaxAge = wholeNumber('hstsMaxAge', options.tls?.hstsMaxAge ?? HSTS_MAX_AGE, 0, 'seconds')
  const certificate = options.tls === undefined ? undefined : await watchCertificate(options.tls)
  const tls = certificate && { certificate, hstsMaxAge }
  // It answers HTTP/2 too; its public type names the response of a host's own server.
  const speaking = speak(service, embedded.handler as Answers['request'], tls)
  const { server } = speaking

  limitConnections(server, {
    most,
    trust: service.options.trust,
    refuse: (connection, problem) => {
      service.refused(problem, new IncomingMessage(connection))
      if (certificate === undefined) refuseBare(connection, problem)
      else connection.destroy()
    },
  })

  await service.relay.ready()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  }).catch((error: unknown) => {
    certificate?.close()
    throw error
  })

  setOptionsOnce(server, KEEP_ALIVE_PROBE_MS / 1000)
  // A server that listens on TCP has an address of this kind.
  const address = server.address() as AddressInfo
  const closed = new Promise<void>((resolve) => server.once('close', resolve))

  async function close(): Promise<void> {
    await speaking.close(closed)
    certificate?.close()
  }

  const scheme = certificate === undefined ? 'http' : 'https'
  return {
    url: `${scheme}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    port: address.port,
    certificate: certificate?.report(),
    reload: async () => await certificate?.reload(),
    stop: async (drainMs) => {
      // A balancer goes on to another node when it can't connect, and needs no check of this one's health to know.
      if (service.hasOthers) speaking.closeDoor()
      await service.stop(drainMs)
      await close()
    },
    stopNow: async () => {
      service.stopNow()
      await close()
      await service.relay.close()
    },
  }
}

/** Throws EssError `usage` for the mistakes that callers without types can make. */
function checkCall(embedded: unknown, options: ListenOptions): Service {
  const service = brokerOf(embedded)
  if (service === undefined) {
    const wanted = 'a service as createService() returns it, and then the options'
    throw new EssError('usage', `listen() takes ${wanted}; it got ${kindOf(embedded)}.`)
  }
  checkOptionNames('listen', options, LISTEN_OPTIONS, nearestName)
  if (options.tls !== undefined) checkOptionNames('listen, tls', options.tls, TLS_OPTIONS, nearestName)
  return service
}
