import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener, type HttpBindings, RequestError } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type Context, Hono } from 'hono'
import {
  CORS_HEADERS,
  EssError,
  formatBytes,
  formatDuration,
  PASS_THROUGH_HEADERS,
  PREFLIGHT_HEADERS,
  problemLine,
  ROUTES,
} from '../shared/index.js'
import { resetConnection } from './linger.js'
import { decodeSegment } from './opening.js'
import { sendProblem } from './problem-response.js'
import { publicBaseUrl } from './public-url.js'
import type { Service } from './service.js'
import { usageText } from './usage.js'

type AppContext = Context<{ Bindings: HttpBindings }>

/** What may be asked of an address, for the `Allow` of a 405 (RFC 9110, 15.5.6), by its number of segments. */
const ALLOWED_METHODS = [
  'GET, HEAD, POST, PUT, OPTIONS',
  'GET, HEAD, PUT, OPTIONS',
  'GET, HEAD, OPTIONS',
] as const

/**
 * The routes of a service. The data routes answer on Node's own objects, which Hono is told by
 * `RESPONSE_ALREADY_SENT`; middleware that sets headers afterwards has no effect on them.
 */
export function createApp(service: Service): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()

  // Hono hands HEAD to the handler of GET.
  app.get(ROUTES.root, (context) => context.body(usage(context), 200, { ...CORS_HEADERS, ...TEXT_HEADERS }))
  app.get(ROUTES.health, (context) =>
    service.isAccepting
      ? context.json({ status: 'ok' }, 200, UNCACHED)
      : context.json({ status: 'stopping' }, 503, UNCACHED),
  )

  app.on(['POST', 'PUT'], ROUTES.root, (context) => open(context, undefined))
  app.put(ROUTES.upload, (context) => open(context, decodeSegment(target(context).segments.at(-1) ?? '')))
  app.get(ROUTES.download, (context) => receive(context, -1))
  app.get(ROUTES.namedDownload, (context) => receive(context, -2))
  app.options('*', (context) => context.body(null, 204, PREFLIGHT_HEADERS))

  app.notFound((context) => {
    const { incoming, outgoing } = context.env
    const { segments } = target(context)
    const allowed = ALLOWED_METHODS[segments[0] === '' ? 0 : segments.length]
    const isRead = incoming.method === 'GET' || incoming.method === 'HEAD'
    const error =
      allowed === undefined || isRead
        ? new EssError('not-found', 'there is nothing at this address')
        : new EssError('method-not-allowed', `Expected one of ${allowed}, got ${incoming.method}`)
    return refuse(
      incoming,
      outgoing,
      error,
      error.code === 'method-not-allowed' && allowed ? { Allow: allowed } : {},
    )
  })

  app.onError((error, context) => {
    const { incoming, outgoing } = context.env
    if (error instanceof EssError) return refuse(incoming, outgoing, error)
    // A bug. Whatever was written already must not end like a success.
    const bug = new EssError('internal-error', 'the server met a bug of its own; its log says more', {
      cause: error,
    })
    if (!outgoing.headersSent) return refuse(incoming, outgoing, bug)
    service.emit('request:refused', bug, incoming)
    resetConnection(incoming.socket)
    return RESPONSE_ALREADY_SENT
  })

  return app

  function open(context: AppContext, fileName: string | undefined): Response {
    const { incoming, outgoing } = context.env
    service.open(incoming, outgoing, target(context).query, fileName)
    return RESPONSE_ALREADY_SENT
  }

  async function receive(context: AppContext, idAt: number): Promise<Response> {
    const { incoming, outgoing } = context.env
    const { segments, query } = target(context)
    const id = decodeSegment(segments.at(idAt) ?? '')
    if (incoming.method === 'HEAD') outgoing.writeHead(200, service.inspect(id)).end()
    else await service.receive(incoming, outgoing, query, id)
    return RESPONSE_ALREADY_SENT
  }

  function refuse(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    error: EssError,
    headers: Readonly<Record<string, string>> = {},
  ): Response {
    service.emit('request:refused', error, incoming)
    sendProblem(incoming, outgoing, error, headers)
    return RESPONSE_ALREADY_SENT
  }

  function usage(context: AppContext): string {
    const { ttlMs, maxUploadBytes } = service.options
    return usageText(publicBaseUrl(context.env.incoming, service.options), {
      ttl: formatDuration(ttlMs / 1000),
      maxUpload: maxUploadBytes === 0 ? 'any size' : `at most ${formatBytes(maxUploadBytes)}`,
    })
  }
}

/** The app as a listener for `node:http`: `(request, response) => …`. */
export function createRequestListener(
  app: Hono<{ Bindings: HttpBindings }>,
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
