/** The embeddable server: `createService(options)`, then `listen(service, { port })`. */
export type { ServiceEvents, SocketInfo, SocketStats } from './events.js'
export type { Outcome, Phase } from './lifecycle.js'
export { type Listening, type ListenOptions, listen } from './listen.js'
export type { ServiceOptions } from './options.js'
export type { Service } from './service.js'

import type { ServiceOptions } from './options.js'
import { Service } from './service.js'

/** Makes a service. Throws EssError `usage` for an option that is not as documented. */
export function createService(options: ServiceOptions = {}): Service {
  return new Service(options)
}
