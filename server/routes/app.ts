import type { IncomingMessage, ServerResponse } from 'node:http'
import { getRequestListener, type HttpBindings, RequestError } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type Context, Hono, type Next } from 'hono'
import { PatternRouter } from 'hono/router/pattern-router'
import {
  downloadPath,
  EssError,
  formatBytes,
  formatDuration,
  joinUrl,
  PASS_THROUGH_HEADERS,
  ROUTES,
  shorterThanAsked,
} from '../../shared/index.js'
import { DOWNLOAD_PAGE_HEADERS, downloadPage } from '../answer/page.js'
import { sendProblem } from '../answer/problem-response.js'
import { usageText } from '../answer/usage.js'
import type { Call, Exchange, Service } from '../broker/service.js'
import { checkVersion } from '../node/http-version.js'
import { asTaken, takeResponse } from '../node/own-response.js'
import { publicBaseUrl } from '../request/public-url.js'
import { checkUnread } from '../request/sender.js'
import { pageStatus, refuseUnasked } from '../request/visitor.js'
import {
  type Address,
  ALLOWED_METHODS,
  addressesOf,
  decodeSegment,
  isOurs,
  queryOf,
  segmentsOf,
} from './addresses.js'
import { answered, type RequestListener, receive, refuseStrangers } from './direct.js'
import { mountOf } from './mount.js'
import { answerThrown, refuse } from './refusal.js'

/** What Hono on Node hands over with a request. */
interface Bindings extends HttpBindings {
  /** True where no app of the embedder's is around ours, and its middleware neither. */
  isAlone?: boolean
}

/** A Hono app on Node's own request and response objects. */
export type ServiceApp = Hono<{ Bindings: Bindings }>

/** Hono mounts the root without its final slash, which senders write; the second one takes that. */
const ROOTS: [string, string] = [ROUTES.root, '/:empty{$}']

type AppContext = Context<{ Bindings: Bindings }>

/**
 * The routes of a service. The data routes answer on Node's own objects, which Hono is told at once, by
 * `RESPONSE_ALREADY_SENT`: middleware that goes on then, or has waited for too long, has no effect on them.
 */
export function createApp(service: Service): ServiceApp {
  // For routes that begin with a parameter, as ours do, the quickest of Hono's routers.
  const app: ServiceApp = new Hono({ router: new PatternRouter() })
  const { cors } = service.options

  // Hono hands HEAD to the handler of GET.
  app.on('GET', ROOTS, (context) =>
    context.body(usage(context), 200, { ...cors.headers(context.env.incoming), ...TEXT_HEADERS }),
  )
  app.get(ROUTES.health, (context) =>
    service.isAccepting
      ? context.json({ status: 'ok', relay: service.relay.gear }, 200, UNCACHED)
      : context.json({ status: 'stopping' }, 503, UNCACHED),
  )
  app.on(['POST', 'PUT'], ROOTS, (context) =>
    directly(context, async () => {
      refuseStrangers(service, context.env.incoming)
      checkUnread(context.env.incoming, isBodyPromised(context))
      await service.open(callOf(context, ROUTES.root))
    }),
  )

  if (service.options.reservations) {
    app.on(['GET', 'POST'], ROUTES.reserve, reserve)
    app.on(['PUT', 'POST'], ROUTES.uploadResource, (context) => {
      const isPromised = isBodyPromised(context)
      return directly(context, async () => {
        service.checkMisses(context.env.incoming)
        checkUnread(context.env.incoming, isPromised)
        await service.upload(callOf(context, ROUTES.uploadResource), segment(context, -1))
      })
    })
    app.delete(ROUTES.uploadResource, (context) => {
      service.checkMisses(context.env.incoming)
      service.cancelUpload(segment(context, -1))
      return context.body(null, 204, { ...cors.headers(context.env.incoming), ...UNCACHED })
    })
    app.get(ROUTES.uploadEvents, (context) => {
      if (context.env.incoming.method === 'HEAD') return notAllowed(context, ROUTES.uploadEvents)
      return directly(context, async () => {
        service.checkMisses(context.env.incoming)
        service.follow(callOf(context, ROUTES.uploadEvents), segment(context, -2))
      })
    })
  }

  app.put(ROUTES.upload, (context) =>
    directly(context, async () => {
      refuseStrangers(service, context.env.incoming)
      checkUnread(context.env.incoming, isBodyPromised(context))
      await service.open(callOf(context, ROUTES.upload), segment(context, -1))
    }),
  )
  app.on(['GET', 'POST'], ROUTES.download, (context, next) => answerLink(context, next, ROUTES.download, -1))
  app.on(['GET', 'POST'], ROUTES.namedDownload, (context, next) =>
    answerLink(context, next, ROUTES.namedDownload, -2),
  )
  // Hono asks the app that mounts another one what to say where no route fits; these routes are our answer.
  for (const address of addressesOf(service.options)) {
    for (const path of address === ROUTES.root ? ROOTS : [address])
      app.all(path, (context, next) => otherwise(context, next, address))
  }
  app.notFound(notFound)
  app.onError(onError)
  return app

  function directly(context: AppContext, answer: () => Promise<void>): Response {
    // Taken before it is answered. It never rejects.
    void answered(service, context.env.incoming, responseOf(context), answer())
    return RESPONSE_ALREADY_SENT
  }

  function reserve(context: AppContext): Response {
    const { incoming } = context.env
    refuseStrangers(service, incoming)
    // A prefetch or a preview of the address would reserve for nobody.
    if (incoming.method === 'HEAD') return notAllowed(context, ROUTES.reserve)
    refuseUnasked(incoming)
    const reservation = service.reserve(callOf(context, ROUTES.reserve))
    const headers = { ...cors.headers(incoming), ...UNCACHED, Location: reservation.url }
    if (/application\/(?:x-nd)?json/i.test(incoming.headers.accept ?? ''))
      return context.json(reservation, 201, headers)
    const { url, upload, ttlAsked } = reservation
    const cut =
      ttlAsked === undefined ? '' : `# ${shorterThanAsked(service.options.ttlMs / 1000, ttlAsked)}\n`
    return context.body(`${url}\n${upload}\n${cut}`, 201, { ...TEXT_HEADERS, ...headers })
  }

  /** Undefined where it is no link of ours, but may be a page of the app that mounts us. */
  async function answerLink(
    context: AppContext,
    next: Next,
    template: string,
    idAt: number,
  ): Promise<Response | undefined> {
    const { incoming } = context.env
    const id = segment(context, idAt)
    if (!service.options.ids.matches(id)) return await pass(next)
    const isHead = incoming.method === 'HEAD'
    const status = pageStatus(incoming)
    if (!isHead && status === undefined)
      return directly(context, async () => await receive(service, exchangeOf(context), id))
    service.authorize('receive', incoming)
    const call = callOf(context, template)
    service.checkMisses(incoming)
    if (isHead) {
      const response = responseOf(context)
      response.writeHead(200, service.inspect(id).downloadHeaders(incoming))
      response.end()
      return alreadySentToHead()
    }
    refuseUnasked(incoming)
    return context.body(page(call, id), status, DOWNLOAD_PAGE_HEADERS)
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

  /** A method that no route of this address takes. */
  async function otherwise(context: AppContext, next: Next, address: Address): Promise<Response | undefined> {
    const { incoming } = context.env
    const segments = segmentsOf(incoming)
    // Without those of Hono's own mount, which stay in the path.
    const below = address === ROUTES.root ? [''] : segments.slice(1 - address.split('/').length)
    if (!isOurs(incoming, below, service.options)) return await pass(next)
    return incoming.method === 'OPTIONS' ? preflight(context) : notAllowed(context, address)
  }

  function preflight(context: AppContext): Response {
    return context.body(null, 204, cors.preflight(context.env.incoming))
  }

  function notFound(context: AppContext): Response {
    const { method = 'GET' } = context.env.incoming
    if (method === 'OPTIONS') return preflight(context)
    // It has the shape of a link, and nothing of that shape takes this method.
    const { length } = segmentsOf(context.env.incoming)
    if (length <= 2 && !['GET', 'HEAD', 'POST'].includes(method))
      return notAllowed(context, length === 1 ? ROUTES.download : ROUTES.namedDownload)
    const words = 'there is nothing at this address; a link may have a typing error, or be long over'
    return refused(context, new EssError('not-found', words))
  }

  function notAllowed(context: AppContext, address: Address): Response {
    const Allow = ALLOWED_METHODS[address]
    const { method } = context.env.incoming
    return refused(context, new EssError('method-not-allowed', `Expected one of ${Allow}, got ${method}`), {
      Allow,
    })
  }

  function onError(error: unknown, context: AppContext): Response {
    const { incoming } = context.env
    answerThrown(service, incoming, responseOf(context), error)
    return incoming.method === 'HEAD' ? alreadySentToHead() : RESPONSE_ALREADY_SENT
  }

  function refused(
    context: AppContext,
    error: EssError,
    headers?: Readonly<Record<string, string>>,
  ): Response {
    const { incoming } = context.env
    refuse(service, incoming, responseOf(context), error, headers)
    return incoming.method === 'HEAD' ? alreadySentToHead() : RESPONSE_ALREADY_SENT
  }
}

/** Leaves a request to whoever comes after us: the embedder's app, or our own `notFound`. */
async function pass(next: Next): Promise<undefined> {
  await next()
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

/** The response to this request, for us alone. */
function responseOf({ env: { outgoing, isAlone } }: AppContext): ServerResponse {
  return isAlone === true ? outgoing : takeResponse(outgoing)
}

/**
 * True where a middleware has asked Hono's request for its body, even if only to hand it on: @hono/node-server has made
 * a stream of Node's request then, which reads that a moment later, whoever wants it.
 */
function isBodyPromised({ env: { isAlone }, req: { raw } }: AppContext): boolean {
  if (isAlone === true) return false
  const names = Object.getOwnPropertySymbols(raw).map(({ description }) => description)
  // Its own request, which makes the real one when it has to; or another one, as `app.mount` and some middleware make.
  return names.includes('incomingKey') ? names.includes('requestCache') : raw.body !== null
}

/** The app as a listener for `node:http`: `(request, response) => …`. */
export function createRequestListener(app: ServiceApp, service: Service): RequestListener {
  /** What Hono has just been handed: it makes its own request of it, and says at once when it cannot. */
  let latest: readonly [IncomingMessage, ServerResponse]
  const fetch = (request: Request, bindings: object) => app.fetch(request, Object.assign(bindings, ALONE))
  const listener = getRequestListener(fetch, {
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
      const [request, response] = latest
      service.refused(problem, request)
      sendProblem(request, response, service.options.cors, problem, { Connection: 'close' })
    },
  })
  return (request, response) => {
    // Not a URL, so nothing for Hono: a question about the whole server (RFC 9112, 3.2.4).
    if (request.url === '*' && request.method === 'OPTIONS') {
      response.writeHead(204, service.options.cors.preflight(request)).end()
      return
    }
    // A scheme may be written either way (RFC 3986, 3.1); Hono's adapter knows the small letters.
    if (!request.url?.startsWith('/'))
      request.url = request.url?.replace(/^https?:/i, (scheme) => scheme.toLowerCase())
    latest = [request, response]
    void listener(request, response)
  }
}

const ALONE: Pick<Bindings, 'isAlone'> = { isAlone: true }

const UNCACHED = { 'Cache-Control': 'no-store' } as const
const TEXT_HEADERS = { ...PASS_THROUGH_HEADERS, 'Content-Type': 'text/plain; charset=utf-8' } as const

/** The request as the service's verbs take it. */
function exchangeOf({ env: { incoming, outgoing } }: AppContext): Exchange {
  checkVersion(incoming)
  // Hono itself answers some of our calls, and leaves the response to the host then.
  return { request: incoming, response: asTaken(outgoing), query: queryOf(incoming) }
}

/** The same with where it was mounted. `template` is the route that matched, without any mount. */
function callOf(context: AppContext, template: string): Call {
  return { ...exchangeOf(context), basePath: mountOf(context.env.incoming, template) }
}

function segment(context: AppContext, at: number): string {
  return decodeSegment(segmentsOf(context.env.incoming).at(at) ?? '')
}
