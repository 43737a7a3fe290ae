import type { IncomingMessage, ServerResponse } from 'node:http'
import { isOurs, segmentsOf } from './addresses.js'
import { createApp, createRequestListener, type ServiceApp } from './app.js'
import { takeDirectly } from './direct.js'
import type { ServiceOptions } from './options.js'
import { Service } from './service.js'

/** A handler in the manner of Express and Connect; without `next` it answers everything, as node:http wants. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => void

/** A service with its routes, to be mounted in a server of your own. */
export interface EmbeddedService extends Service {
  /** For Hono on Node: `app.route('/share', service.app)`. */
  readonly app: ServiceApp
  /** For Express, Connect and node:http: `app.use('/share', service.handler)`. Mount it before any body parser. */
  readonly handler: Handler
}

/**
 * Makes a service: events, verbs, and routes to mount. Throws EssError `usage` for an option that is not as
 * documented. Nothing is shared between two services of one process.
 */
export function createService(options: ServiceOptions = {}): EmbeddedService {
  const service = new Service(options)
  const app = createApp(service)
  const listener = takeDirectly(service, createRequestListener(app, service))
  const handler: Handler = (request, response, next) => {
    // What is certainly not for us is left to the rest of the embedder's app.
    const isForUs = next === undefined || isOurs(request, segmentsOf(request), service.options)
    if (isForUs) listener(request, response)
    else next()
  }
  return Object.assign(service, { app, handler })
}

/** The same, for those who read their code as the ancestor's: `create(options)` without attaching it. */
export const create = createService

/** A Hono app, on Node. */
export interface HonoHost {
  route(path: string, app: ServiceApp): unknown
  readonly fetch: unknown
}

/** An Express or Connect app. */
export interface ExpressHost {
  use(path: string, handler: Handler): unknown
}

/** Makes a service and mounts it on `host` under `path`, `/` by default. Returns the service. */
export function attach(
  host: HonoHost | ExpressHost,
  options: ServiceOptions & { readonly path?: string } = {},
): EmbeddedService {
  const { path = '/', ...serviceOptions } = options
  const service = createService(serviceOptions)
  // Express has a `route` too, but only Hono is called by `fetch`.
  if ('fetch' in host) host.route(path, service.app)
  else host.use(path, service.handler)
  return service
}
