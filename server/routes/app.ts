import { type Context, Hono, type Next } from 'hono'
import { PatternRouter } from 'hono/router/pattern-router'
import { EssError, ROUTES } from '../../shared/index.js'
import { draftOptions } from '../answer/draft-fields.js'
import { removeForeignFields } from '../answer/foreign-fields.js'
import type { Service } from '../broker/service.js'
import { asTaken, takeResponse } from '../node/own-response.js'
import type { ResponsePort } from '../node/ports.js'
import { type Address, addressOf, decodeSegment, isOurs, queryOf, segmentsOf } from './addresses.js'
import { guard } from './guards.js'
import { type HttpBindings, RESPONSE_ALREADY_SENT } from './hono-on-node.js'
import { mountOf } from './mount.js'
import type { Page } from './pages.js'
import { answerThrown, refuse } from './refusal.js'
import { type Answer, allowOf, answerTransfer, entryOf, isMissing, type Transfer } from './table.js'
import type { Visit } from './visit.js'

/** What Hono on Node hands over with a request. */
export interface Bindings extends HttpBindings {
  /** True where no app of the embedder's is around ours, and none of its middleware. */
  isAlone?: boolean
}

/** A Hono app on Node's own request and response objects. */
export type ServiceApp = Hono<{ Bindings: Bindings }>

type AppContext = Context<{ Bindings: Bindings }>

/**
 * The shapes of all addresses, each with its number of segments. Hono finds the mount by them; `addressOf` reads the
 * rest. Hono mounts the root without its final slash, which senders write: the second shape takes that.
 */
const SHAPES: Readonly<Record<string, number>> = {
  [ROUTES.root]: 0,
  '/:empty{$}': 0,
  [ROUTES.download]: 1,
  [ROUTES.namedDownload]: 2,
  [ROUTES.uploadEvents]: 3,
  [ROUTES.closedDownload]: 3,
  [ROUTES.closedUpload]: 3,
}

/**
 * The Hono door into the table. Transfers answer on Node's own objects, which Hono is told at once, by
 * `RESPONSE_ALREADY_SENT`: middleware that goes on then, or has waited for too long, has no effect on them.
 */
export function createApp(broker: Service): ServiceApp {
  // The quickest of Hono's routers for routes that begin with a parameter, as ours do.
  const app: ServiceApp = new Hono({ router: new PatternRouter() })
  const { options } = broker
  const { cors } = options
  for (const [path, length] of Object.entries(SHAPES))
    app.all(path, (context, next) => enter(context, next, length))
  app.notFound(notFound)
  app.onError(onError)
  return app

  /** Passes on what is no address of ours: it may be a page of the app that mounts us. */
  function enter(
    context: AppContext,
    next: Next,
    length: number,
  ): Response | Promise<Response> | Promise<undefined> {
    const { incoming } = context.env
    const below = length === 0 ? [''] : segmentsBelow(segmentsOf(incoming), length)
    const address = addressOf(below, options)
    if (address === undefined || !isOurs(address, incoming, options)) return pass(next)
    // Hono's own method: its middleware may have overridden the request's.
    const entry = entryOf(address, incoming, context.req.method)
    if (entry === undefined)
      return incoming.method === 'OPTIONS' ? preflight(context, address) : notAllowed(context, address)
    return 'page' in entry ? answerPage(context, address, entry) : startTransfer(context, address, entry)
  }

  function startTransfer(context: AppContext, address: Address, entry: Transfer): Response {
    // The response is taken before it is answered. This never rejects.
    void answerTransfer(broker, visitOf(context, address, responseOf(context)), entry)
    return alreadySent(context)
  }

  function answerPage(
    context: AppContext,
    address: Address,
    { guards, page, isTold }: Answer,
  ): Response | Promise<Response> {
    // Hono answers, and leaves the response to the host.
    const visit = visitOf(context, address, asTaken(context.env.outgoing))
    guard(broker, visit, guards)
    try {
      const { body, status, headers } = page(broker, visit)
      const answer = () => context.newResponse(body, status, headers)
      return isTold && broker.nodes !== undefined ? broker.nodes.whenKnown().then(answer) : answer()
    } catch (error) {
      if (broker.nodes === undefined || !isMissing(error)) throw error
      // Another node may have it, or it comes here while this client waits.
      const transfer: Transfer['transfer'] = (_broker, again) => sendPage(again, page(broker, again))
      return startTransfer(context, address, { guards: {}, transfer })
    }
  }

  function preflight(context: AppContext, address?: Address): Response {
    const takesPieces = address?.route === 'reserve' || address?.route === 'uploadResource'
    const headers = cors.preflight(context.env.incoming)
    return context.body(null, 204, takesPieces ? { ...headers, ...draftOptions(options) } : headers)
  }

  function notFound(context: AppContext): Response {
    const { incoming } = context.env
    if (incoming.method === 'OPTIONS') return preflight(context)
    const address = addressOf(segmentsOf(incoming), options)
    if (address !== undefined) {
      // It has the shape of a link, and no link takes this method.
      if (entryOf(address, incoming) === undefined) return notAllowed(context, address)
      decodeSegment(address.key)
    }
    const words = 'There is nothing at this address. Check the link for a typo; it may also have expired.'
    return refused(context, new EssError('not-found', words))
  }

  function notAllowed(context: AppContext, { route }: Address): Response {
    const Allow = allowOf(route)
    const { method } = context.env.incoming
    return refused(
      context,
      new EssError('method-not-allowed', `This address does not take ${method}. It takes ${Allow}.`),
      {
        Allow,
      },
    )
  }

  function onError(error: unknown, context: AppContext): Response {
    answerThrown(broker, context.env.incoming, responseOf(context), error)
    return alreadySent(context)
  }

  function refused(
    context: AppContext,
    error: EssError,
    headers?: Readonly<Record<string, string>>,
  ): Response {
    refuse(broker, context.env.incoming, responseOf(context), error, headers)
    return alreadySent(context)
  }
}

function sendPage({ response }: Visit, { status, headers, body }: Page): void {
  removeForeignFields(response)
  response.writeHead(status, headers)
  response.end(body ?? '')
}

/** Hono leaves its own mount in the path. It takes a final slash for nothing, and that is one segment more. */
function segmentsBelow(segments: readonly string[], length: number): readonly string[] {
  return segments.slice(-(segments.at(-1) === '' ? length + 1 : length))
}

async function pass(next: Next): Promise<undefined> {
  await next()
}

function alreadySent({ env: { incoming } }: AppContext): Response {
  if (incoming.method !== 'HEAD') return RESPONSE_ALREADY_SENT
  // For HEAD, Hono copies the handler's response. Where the host has let @hono/node-server replace the global
  // `Response`, the copy of one that is not complete yet would be written a second time; reading `type` completes it.
  const response = new Response(null, RESPONSE_ALREADY_SENT)
  void response.type
  return response
}

/** The response to this request, for us alone. */
function responseOf({ env: { outgoing, isAlone } }: AppContext): ResponsePort {
  return isAlone === true ? outgoing : takeResponse(outgoing)
}

function visitOf(context: AppContext, address: Address, response: ResponsePort): Visit {
  const { incoming } = context.env
  return {
    request: incoming,
    response,
    query: queryOf(incoming),
    address,
    // Few answers need these two.
    get isBodyPromised() {
      return isBodyPromised(context)
    },
    get basePath() {
      return mountOf(incoming, ROUTES[address.route])
    },
  }
}

/**
 * True where a middleware has asked Hono's request for its body, even if only to hand it on: @hono/node-server has then
 * made a stream of Node's request, which reads that a moment later, whether or not anything wants it.
 */
function isBodyPromised({ env: { isAlone }, req: { raw } }: AppContext): boolean {
  if (isAlone === true) return false
  const names = Object.getOwnPropertySymbols(raw).map(({ description }) => description)
  // Its own request, which makes the real one when it has to; or another one, as `app.mount` and some middleware make.
  return names.includes('incomingKey') ? names.includes('requestCache') : raw.body !== null
}
