/** The embeddable server: `createService(options)`, to mount in your own, or to serve by `listen(service)`. */
export {
  attach,
  create,
  createService,
  type EmbeddedService,
  type ExpressHost,
  type Handler,
  type HonoHost,
} from './embed.js'
export type { ServiceEvents, SocketInfo, SocketStats } from './events.js'
export type { Outcome, Phase } from './lifecycle.js'
export { type Listening, type ListenOptions, listen } from './listen.js'
export type { ErrorAnswer, ServiceOptions } from './options.js'
export type { Reservation, Service } from './service.js'
export type { CertificateReport, TlsOptions } from './tls.js'
