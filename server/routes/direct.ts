import type { IncomingMessage, ServerResponse } from 'node:http'
import { ROUTES } from '../../shared/index.js'
import type { Exchange, Service } from '../broker/service.js'
import { refuseCrossSite } from '../request/access.js'
import { isHost } from '../request/public-url.js'
import { pageStatus, refuseUnasked } from '../request/visitor.js'
import { queryOf } from './addresses.js'
import { answerThrown } from './refusal.js'

/** A listener for `node:http`. */
export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void

/**
 * Answers the two requests that a transfer is made of where they say nothing out of the ordinary, and leaves every other
 * one to `routes`: a router, its request and its response cost as much for a short transfer as moving it. What is
 * answered here is answered the same there.
 */
export function takeDirectly(service: Service, routes: RequestListener): RequestListener {
  return (request, response) => {
    const { method, url = '' } = request
    if (method === 'GET') {
      const id = idOf(url)
      if (
        id !== undefined &&
        service.options.ids.matches(id) &&
        isPlain(request) &&
        pageStatus(request) === undefined
      ) {
        void answered(service, request, response, receive(service, exchangeOf(request, response), id))
        return
      }
    } else if (url === ROUTES.root && (method === 'POST' || method === 'PUT') && isPlain(request)) {
      void answered(service, request, response, send(service, exchangeOf(request, response)))
      return
    }
    routes(request, response)
  }
}

/** Takes a sender who asked at the root. Rejects with the EssError to refuse it with. */
async function send(service: Service, exchange: Exchange): Promise<void> {
  refuseStrangers(service, exchange.request)
  await service.open({ ...exchange, basePath: '' })
}

/** Throws what a sender is refused with first of all, so that who may not send learns nothing and costs nothing. */
export function refuseStrangers(service: Service, request: IncomingMessage): void {
  service.authorize('send', request)
  refuseCrossSite(request, 'send', service.options)
}

/** Gives a receiver what it asked for, unless that is only to be looked at. Rejects with the EssError to refuse it with. */
export async function receive(service: Service, exchange: Exchange, id: string): Promise<void> {
  const { request } = exchange
  service.authorize('receive', request)
  service.checkMisses(request)
  refuseUnasked(request)
  refuseCrossSite(request, 'receive', service.options)
  await service.receive(exchange, id)
}

/** Waits for `answer`, and answers by itself where that is a refusal. It never rejects. */
export async function answered(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
  answer: Promise<void>,
): Promise<void> {
  try {
    await answer
  } catch (error) {
    answerThrown(service, request, response, error)
  }
}

/** The request as a verb takes it. */
function exchangeOf(request: IncomingMessage, response: ServerResponse): Exchange {
  return { request, response, query: queryOf(request) }
}

/** Nothing that is percent-encoded, no query, no file name. */
const ONE_SEGMENT = /^\/([A-Za-z0-9_-]+)$/

/** Where a custom pattern of ids takes these too, they are still what they are. */
const ADDRESSES: readonly string[] = [ROUTES.health, ROUTES.reserve]

function idOf(url: string): string | undefined {
  return ADDRESSES.includes(url) ? undefined : ONE_SEGMENT.exec(url)?.[1]
}

/** True for a request of HTTP/1.1 that names a host as hosts are named, and has come through no framework's mount. */
function isPlain(request: IncomingMessage): boolean {
  const { httpVersionMajor, headers } = request
  return (
    httpVersionMajor === 1 &&
    headers.host !== undefined &&
    isHost(headers.host) &&
    !('originalUrl' in request) &&
    !('baseUrl' in request)
  )
}
