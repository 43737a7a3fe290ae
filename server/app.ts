import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener, type HttpBindings, RequestError } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type Context, Hono } from 'hono'
import { routePath } from 'hono/route'
import {
  CORS_HEADERS,
  downloadPath,
  EssError,
  formatBytes,
  formatDuration,
  joinUrl,
  PASS_THROUGH_HEADERS,
  PREFLIGHT_HEADERS,
  percentDecode,
  problemLine,
  ROUTES,
} from '../shared/index.js'
import { resetConnection } from './linger.js'
import { decodeSegment } from './opening.js'
import { downloadPage, PAGE_HEADERS } from './page.js'
import { sendProblem } from './problem-response.js'
import { publicBaseUrl } from './public-url.js'
import type { Call, Service } from './service.js'
import { usageText } from './usage.js'
import { refuseUnasked, wantsPage } from './visitor.js'

/** A Hono app on Node's own request and response objects. */
export type ServiceApp = Hono<{ Bindings: HttpBindings }>

/** Hono mounts the root without its final slash, which senders write; the second one takes that. */
const ROOTS: [string, string] = [ROUTES.root, '/:empty{$}']

type AppContext = Context<{ Bindings: HttpBindings }>

/** What may be asked of an address, for the `Allow` of a 405 (RFC 9110, 15.5.6), by its number of segments. */
const ALLOWED_METHODS = [
  'GET, HEAD, POST, PUT, OPTIONS',
  'GET, HEAD, POST, PUT, OPTIONS',
  'GET, HEAD, POST, OPTIONS',
] as const

/**
 * The routes of a service. The data routes answer on Node's own objects, which Hono is told by
 * `RESPONSE_ALREADY_SENT`; middleware that sets headers afterwards has no effect on them.
 */
export function createApp(service: Service): ServiceApp {
  const app: ServiceApp = new Hono()

  // Hono hands HEAD to the handler of GET.
  app.on('GET', ROOTS, (context) => context.body(usage(context), 200, { ...CORS_HEADERS, ...TEXT_HEADERS }))
  app.get(ROUTES.health, (context) =>
    service.isAccepting
      ? context.json({ status: 'ok', relay: service.relay.gear }, 200, UNCACHED)
      : context.json({ status: 'stopping' }, 503, UNCACHED),
  )
  app.on(['POST', 'PUT'], ROOTS, (context) => sent(service.open(callOf(context, ROUTES.root))))

  if (service.options.reservations) {
    app.on(['GET', 'POST'], ROUTES.reserve, reserve)
    app.on(['PUT', 'POST'], ROUTES.uploadResource, (context) =>
      sent(service.upload(callOf(context, ROUTES.uploadResource), segment(context, -1))),
    )
    app.delete(ROUTES.uploadResource, (context) => {
      service.cancelUpload(segment(context, -1))
      return context.body(null, 204, { ...CORS_HEADERS, ...UNCACHED })
    })
    app.get(ROUTES.uploadEvents, (context) => {
      service.follow(callOf(context, ROUTES.uploadEvents), segment(context, -2))
      return RESPONSE_ALREADY_SENT
    })
  }

  app.put(ROUTES.upload, (context) =>
    sent(service.open(callOf(context, ROUTES.upload), segment(context, -1))),
  )
  app.on(['GET', 'POST'], ROUTES.download, (context) => receive(context, ROUTES.download, -1))
  app.on(['GET', 'POST'], ROUTES.namedDownload, (context) => receive(context, ROUTES.namedDownload, -2))
  app.options('*', (context) => context.body(null, 204, PREFLIGHT_HEADERS))
  app.notFound(notFound)
  app.onError(onError)
  return app

  function reserve(context: AppContext): Response {
    const { incoming } = context.env
    // A prefetch or a preview of the address would reserve for nobody.
    if (incoming.method === 'HEAD') throw new EssError('method-not-allowed', 'Expected GET or POST, got HEAD')
    refuseUnasked(incoming)
    const reservation = service.reserve(callOf(context, ROUTES.reserve))
    const headers = { ...CORS_HEADERS, ...UNCACHED, Location: reservation.url }
    if (/application\/(?:x-nd)?json/i.test(incoming.headers.accept ?? ''))
      return context.json(reservation, 201, headers)
    return context.body(`${reservation.url}\n${reservation.upload}\n`, 201, { ...TEXT_HEADERS, ...headers })
  }

  async function receive(context: AppContext, template: string, idAt: number): Promise<Response> {
    const { incoming, outgoing } = context.env
    const call = callOf(context, template)
    const id = segment(context, idAt)
    if (incoming.method === 'HEAD') {
      outgoing.writeHead(200, service.inspect(id).downloadHeaders()).end()
      return alreadySentToHead()
    }
    refuseUnasked(incoming)
    if (wantsPage(incoming)) return context.body(page(call, id), 200, PAGE_HEADERS)
    return sent(service.receive(call, id))
  }

  function page(call: Call, id: string): string {
    const { fileName, contentLength, phase } = service.inspect(id)
    const url = joinUrl(baseOf(call), downloadPath(id, fileName))
    return downloadPage({ fileName, size: contentLength, url, isReady: phase !== 'reserved' })
  }

  function usage(context: AppContext): string {
    const { ttlMs, maxUploadBytes, earlyResponse, proxyHidesCuts } = service.options
    return usageText(baseOf(callOf(context, ROUTES.root)), {
      ttl: formatDuration(ttlMs / 1000),
      maxUpload: maxUploadBytes === 0 ? 'any size' : `at most ${formatBytes(maxUploadBytes)}`,
      mustReserve: !earlyResponse || proxyHidesCuts,
    })
  }

  function baseOf({ request, basePath }: Call): string {
    const base = publicBaseUrl(request, service.options)
    return service.options.baseUrl === undefined ? base + basePath : base
  }

  function notFound(context: AppContext): Response {
    const { incoming } = context.env
    const { segments } = target(context)
    const allowed = ALLOWED_METHODS[segments[0] === '' ? 0 : segments.length]
    const isRead = incoming.method === 'GET' || incoming.method === 'HEAD'
    if (allowed === undefined || isRead)
      return refuse(context, new EssError('not-found', 'there is nothing at this address'))
    const error = new EssError('method-not-allowed', `Expected one of ${allowed}, got ${incoming.method}`)
    return refuse(context, error, { Allow: allowed })
  }

  function onError(error: unknown, context: AppContext): Response {
    if (error instanceof EssError) return refuse(context, error)
    const { incoming, outgoing } = context.env
    // A bug. Whatever was written already must not end like a success.
    const bug = new EssError('internal-error', 'the server met a bug of its own; its log says more', {
      cause: error,
    })
    if (!outgoing.headersSent) return refuse(context, bug)
    service.refused(bug, incoming)
    resetConnection(incoming.socket)
    return RESPONSE_ALREADY_SENT
  }

  function refuse(
    context: AppContext,
    error: EssError,
    headers: Readonly<Record<string, string>> = {},
  ): Response {
    const { incoming, outgoing } = context.env
    service.refused(error, incoming)
    sendProblem(incoming, outgoing, error, headers, service.ownAnswer(error, incoming))
    return incoming.method === 'HEAD' ? alreadySentToHead() : RESPONSE_ALREADY_SENT
  }
}

/** False for a request that no route of the service could take: its path is neither one of ours nor an id. */
export function isOurs(service: Service, { url = '/', method }: IncomingMessage): boolean {
  const [first = '', ...rest] = (url.split('?')[0] ?? '').replace(/^\//, '').split('/')
  if (rest.length === 0 && (first === '' || method === 'PUT')) return true
  if (service.options.reservations && ['reserve', 'uploads'].includes(first)) return true
  const id = percentDecode(first) ?? ''
  return rest.length <= 1 && (service.options.ids.matches(id) || (first === 'health' && rest.length === 0))
}

/**
 * For HEAD, Hono copies the handler's response. Where the host has let @hono/node-server replace the global
 * `Response`, the copy of one that is not complete yet would be written a second time; reading `type` completes it.
 */
function alreadySentToHead(): Response {
  const response = new Response(null, RESPONSE_ALREADY_SENT)
  void response.type
  return response
}

async function sent(answered: Promise<void>): Promise<Response> {
  await answered
  return RESPONSE_ALREADY_SENT
}

/** The app as a listener for `node:http`: `(request, response) => …`. */
export function createRequestListener(
  app: ServiceApp,
): (request: IncomingMessage, response: ServerResponse) => void {
  const listener = getRequestListener(app.fetch, {
    // An HTTP/1.0 request may come without a Host.
    hostname: 'localhost',
    // It would take a request's body away, without an event, once its response was closed.
    autoCleanupIncoming: false,
    // A library leaves the globals of its host alone.
    overrideGlobalObjects: false,
    errorHandler: (error) => {
      if (!(error instanceof RequestError)) throw error
      const problem = new EssError(
        'bad-request',
        `Expected a request target and a Host that make a URL: ${error.message}`,
      )
      return new Response(problemLine(problem), {
        status: 400,
        headers: { ...TEXT_HEADERS, Connection: 'close' },
      })
    },
  })
  return (request, response) => void listener(request, response)
}

const UNCACHED = { 'Cache-Control': 'no-store' } as const
const TEXT_HEADERS = { ...PASS_THROUGH_HEADERS, 'Content-Type': 'text/plain; charset=utf-8' } as const

/** What frameworks that strip the mount's path from `url` leave beside it: Express and Connect. */
interface Mounted {
  readonly baseUrl?: unknown
  readonly originalUrl?: unknown
}

/** The request as the service's verbs take it. `template` is the route that matched, without any mount. */
function callOf(context: AppContext, template: string): Call {
  const { incoming, outgoing } = context.env
  const { baseUrl, originalUrl } = incoming as Mounted
  // Express says where it mounted us; Hono's own mount shows in the pattern of the route.
  const mounted = typeof baseUrl === 'string' ? baseUrl : strippedPath(originalUrl, incoming.url)
  const matched = routePath(context).replace(ROOTS[1], ROUTES.root)
  const inHono = matched.endsWith(template) ? matched.slice(0, matched.length - template.length) : matched
  return {
    request: incoming,
    response: outgoing,
    query: target(context).query,
    basePath: (mounted + inHono).replace(/\/+$/, ''),
  }
}

/** Connect keeps the whole URL as `originalUrl`, and leaves the part after the mount in `url`. */
function strippedPath(originalUrl: unknown, url = '/'): string {
  if (typeof originalUrl !== 'string' || !originalUrl.endsWith(url)) return ''
  return originalUrl.slice(0, originalUrl.length - url.length)
}

function segment(context: AppContext, at: number): string {
  return decodeSegment(target(context).segments.at(at) ?? '')
}

/**
 * The request target as it came: Hono's own path is decoded already, and a `%` that was malformed is not to be
 * seen in it. The path's segments (one empty segment for the root), still encoded, and the query.
 */
function target(context: AppContext): { segments: string[]; query: URLSearchParams } {
  const [path = '', ...query] = (context.env.incoming.url ?? '/')
    .replace(/^https?:\/\/[^/?#]*/i, '')
    .split('?')
  return { segments: path.replace(/^\//, '').split('/'), query: new URLSearchParams(query.join('?')) }
}
