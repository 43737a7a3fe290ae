/** The embeddable server: make a service with `createService(options)`, then mount it or serve it with `listen`. */

export type { ErrorAnswer } from './answer/problem-response.js'
export type { ServiceEvents, SocketInfo, SocketStats } from './broker/events.js'
export type { Outcome, Phase } from './broker/lifecycle.js'
export type { ServiceOptions } from './broker/options.js'
export type { Reservation } from './broker/service.js'
export {
  attach,
  create,
  createService,
  type EmbeddedService,
  type ExpressHost,
  type Handler,
  type HonoHost,
  type Service,
} from './embed.js'
export { type Listening, type ListenOptions, listen } from './listen/listen.js'
export type { CertificateReport, TlsOptions } from './listen/tls.js'
