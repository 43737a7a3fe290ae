import type { IncomingMessage, ServerResponse } from 'node:http'
import { EssError } from '../shared/index.js'
import { kindOf } from '../shared/option-names.js'
import type { ServiceOptions } from './broker/options.js'
import { Service } from './broker/service.js'
import { addressOf, isOurs, segmentsOf } from './routes/addresses.js'
import { createApp, type ServiceApp } from './routes/app.js'
import { takeDirectly } from './routes/direct.js'
import { createRequestListener } from './routes/listener.js'

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
    if (next === undefined || isForUs(request, service)) listener(request, response)
    else next()
  }
  return Object.assign(service, { app, handler })
}

/** False for a request that is left to the rest of the embedder's app. */
function isForUs(request: IncomingMessage, { options }: Service): boolean {
  const address = addressOf(segmentsOf(request), options)
  return address !== undefined && isOurs(address, request, options)
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

/** A Hono app is called by `fetch`; an Express or Connect app is a function with a `use`. */
const HOST_WANTED =
  'expected a Hono app, or an Express or Connect app. For node:http, pass createService().handler to createServer()'

/**
 * Makes a service and mounts it on `host` under `path`, `/` by default. Returns the service. Throws EssError `usage`
 * if `host` is no such app, or an option is not as documented; nothing is mounted then.
 */
export function attach(
  host: HonoHost | ExpressHost,
  options: ServiceOptions & { readonly path?: string } = {},
): EmbeddedService {
  if (!isHono(host) && !isExpress(host))
    throw new EssError('usage', `attach: ${HOST_WANTED}; got ${kindOf(host)}`)
  // A caller without types may give the path alone. All else is checked as createService does.
  if (typeof options !== 'object' || options === null)
    throw new EssError('usage', `attach: expected options such as { path: '/share' }, got ${kindOf(options)}`)
  const { path = '/', ...serviceOptions } = options
  if (typeof path !== 'string' || !path.startsWith('/'))
    throw new EssError('usage', `attach: expected "path" to begin with a slash, got ${kindOf(path)}`)
  const service = createService(serviceOptions)
  if (isHono(host)) host.route(path, service.app)
  else host.use(path, service.handler)
  return service
}

/** Express has a `route` too, but no `fetch`. */
function isHono(host: unknown): host is HonoHost {
  return isObject(host) && 'fetch' in host && typeof host.fetch === 'function' && 'route' in host
}

function isExpress(host: unknown): host is ExpressHost {
  return isObject(host) && 'use' in host && typeof host.use === 'function'
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}
