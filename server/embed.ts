import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { EssError } from '../shared/index.js'
import { kindOf } from '../shared/option-names.js'
import type { ServiceEvents, SocketInfo } from './broker/events.js'
import type { ServiceOptions } from './broker/options.js'
import { Service as Broker } from './broker/service.js'
import { addressOf, isOurs, segmentsOf } from './routes/addresses.js'
import { createApp, type ServiceApp } from './routes/app.js'
import { takeDirectly } from './routes/direct.js'
import { createRequestListener } from './routes/listener.js'

/** A handler in the manner of Express and Connect. Without `next` it answers everything, as node:http wants. */
export type Handler = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => void

/**
 * A service as its embedder sees it: its events, a look inside, and its end. Senders and receivers reach it by its
 * routes alone, where `authorize` is asked.
 */
export interface Service extends EventEmitter<ServiceEvents> {
  /** False once `close` or `stopNow` was called. */
  readonly isAccepting: boolean
  readonly relay: {
    /**
     * Finds out which gears work on this machine; once, however often you call it. Without it the first sender does
     * this, and goes by streams itself.
     */
    ready(): Promise<void>
  }
  /**
   * The sockets that have not ended. Their ids are cut to four characters unless `ids` is true: anyone who has an id
   * can download its file. Throws EssError `usage` for another option.
   */
  sockets(options?: { ids?: boolean }): SocketInfo[]
  /**
   * How much the service holds in memory, by kind; `uploads` counts the secrets of open upload resources, and `held` is
   * what all clients hold of their shares.
   */
  counts(): { sockets: number; uploads: number; tombstones: number; awaiting: number; held: number }
  /**
   * Ends a socket: both sides are told `cancelled`. With a signal, it ends when that is aborted. False where there is
   * no such socket, or it has ended.
   */
  cancel(id: string, signal?: AbortSignal): boolean
  /**
   * Takes no new sockets, tells those that wait `shutting-down`, and gives those that stream `drain` seconds to finish,
   * 30 by default. Resolves when no socket is left; then close your server. Rejects with EssError `usage`.
   */
  close(options?: { drain?: number }): Promise<void>
  /** Fails every socket at once, and tells both sides. */
  stopNow(): void
  /** Leaves a request's 100 (Continue) to the service. Call it from Node's event `checkContinue`, before `handler`. */
  holdContinue(request: IncomingMessage): void
  /**
   * Call it from Node's event `clientError`. Where a sender's body was coming on this connection, its transfer fails
   * and its sender is told. True for such a connection, even if its transfer is over: leave it to the service.
   */
  breakOff(connection: Duplex, error: NodeJS.ErrnoException): boolean
}

/** A service with its routes, to mount in your own server. */
export interface EmbeddedService extends Service {
  /** For Hono on Node: `app.route('/share', service.app)`. */
  readonly app: ServiceApp
  /** For Express, Connect and node:http: `app.use('/share', service.handler)`. Mount it before any body parser. */
  readonly handler: Handler
}

/**
 * Makes a service: events, verbs, and routes to mount. Throws EssError `usage` for an option that is not as documented.
 * Two services of one process share nothing.
 */
export function createService(options: ServiceOptions = {}): EmbeddedService {
  return new NarrowService(new Broker(options))
}

/** Another name for `createService`. */
export const create = createService

/** The broker behind a service, for the rest of this package. Undefined for what `createService` has not made. */
export function brokerOf(service: EmbeddedService): Broker
export function brokerOf(value: unknown): Broker | undefined
export function brokerOf(value: unknown): Broker | undefined {
  return NarrowService.brokerOf(value)
}

/**
 * What an embedder may do with a broker. The broker's other verbs open, receive and look up without asking `authorize`,
 * because the routes have asked by then. This object doesn't have them, with or without types.
 */
class NarrowService extends EventEmitter<ServiceEvents> implements EmbeddedService {
  readonly #broker: Broker
  readonly app: ServiceApp
  readonly handler: Handler
  readonly relay: Service['relay']

  constructor(broker: Broker) {
    super()
    this.#broker = broker
    this.app = createApp(broker)
    this.handler = handlerOf(broker, this.app)
    this.relay = { ready: () => broker.relay.ready() }
    shareListeners(broker, this)
  }

  static brokerOf(value: unknown): Broker | undefined {
    return typeof value === 'object' && value !== null && #broker in value ? value.#broker : undefined
  }

  get isAccepting(): boolean {
    return this.#broker.isAccepting
  }

  sockets(options?: { ids?: boolean }): SocketInfo[] {
    return this.#broker.sockets(options)
  }

  counts(): ReturnType<Service['counts']> {
    return this.#broker.counts()
  }

  cancel(id: string, signal?: AbortSignal): boolean {
    return this.#broker.cancel(id, signal)
  }

  async close(options?: { drain?: number }): Promise<void> {
    await this.#broker.close(options)
  }

  stopNow(): void {
    this.#broker.stopNow()
  }

  holdContinue(request: IncomingMessage): void {
    this.#broker.holdContinue(request)
  }

  breakOff(connection: Duplex, error: NodeJS.ErrnoException): boolean {
    return this.#broker.breakOff(connection, error)
  }
}

/**
 * Makes `service` an emitter of the broker's events. Its listeners are the broker's own rather than told by one of
 * them, because the broker keeps a listener that throws from the transfer and from the other listeners.
 */
function shareListeners(broker: Broker, service: EventEmitter): void {
  for (const name of Object.getOwnPropertyNames(EventEmitter.prototype)) {
    const method: unknown = Reflect.get(broker, name)
    if (typeof method !== 'function' || name === 'constructor') continue
    const value = (...values: unknown[]): unknown => {
      const result: unknown = Reflect.apply(method, broker, values)
      // Calls chain on the service, and don't hand out the broker.
      return result === broker ? service : result
    }
    Object.defineProperty(service, name, { value, configurable: true, writable: true })
  }
}

function handlerOf(broker: Broker, app: ServiceApp): Handler {
  const listener = takeDirectly(broker, createRequestListener(app, broker))
  return (request, response, next) => {
    if (next === undefined || isForUs(request, broker)) listener(request, response)
    else next()
  }
}

/** False for a request that is left to the rest of the embedder's app. */
function isForUs(request: IncomingMessage, { options }: Broker): boolean {
  const address = addressOf(segmentsOf(request), options)
  return address !== undefined && isOurs(address, request, options)
}

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
  'a Hono app, or an Express or Connect app. For node:http, pass createService().handler to createServer()'

/**
 * Makes a service and mounts it on `host` under `path`, `/` by default. Returns the service. Throws EssError `usage`
 * if `host` is no such app, or an option is not as documented; nothing is mounted then.
 */
export function attach(
  host: HonoHost | ExpressHost,
  options: ServiceOptions & { readonly path?: string } = {},
): EmbeddedService {
  if (!isHono(host) && !isExpress(host))
    throw new EssError('usage', `attach() takes ${HOST_WANTED}; it got ${kindOf(host)}.`)
  // A caller without types may give the path alone. createService checks the rest.
  if (typeof options !== 'object' || options === null)
    throw new EssError(
      'usage',
      `attach() takes options such as { path: '/share' }; it got ${kindOf(options)}.`,
    )
  const { path = '/', ...serviceOptions } = options
  if (typeof path !== 'string' || !path.startsWith('/'))
    throw new EssError('usage', `The "path" of attach() must begin with a slash, and is ${kindOf(path)}.`)
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
