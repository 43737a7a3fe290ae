import type { IncomingMessage, ServerResponse } from 'node:http'
import { EssError } from '../../shared/index.js'
import { removeForeignFields } from '../answer/foreign-fields.js'
import { abandon, sendProblem } from '../answer/problem-response.js'
import type { Service } from '../broker/service.js'
import type { ResponsePort } from '../node/ports.js'
import type { Bindings, ServiceApp } from './app.js'
import type { RequestListener } from './direct.js'
import { getRequestListener, RequestError } from './hono-on-node.js'

/** Makes a listener for `node:http` of the app. */
export function createRequestListener(app: ServiceApp, broker: Service): RequestListener {
  /** The pair that Hono's adapter was given last: it makes its own request of it, and says at once when it can't. */
  let latest: readonly [IncomingMessage, ResponsePort]
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
        `The address and the Host of this request make no URL: ${error.message}. Check both.`,
      )
      const [request, response] = latest
      broker.refused(problem, request)
      sendProblem(request, response, broker.options.cors, problem, { Connection: 'close' })
    },
  })
  return (request, response) => {
    // Hono writes some of these answers, and keeps the fields that the host has set.
    removeForeignFields(response)
    // `OPTIONS *` asks about the whole server (RFC 9112, 3.2.4). Its target is no URL, so Hono can't take it.
    if (request.url === '*' && request.method === 'OPTIONS') {
      response.writeHead(204, broker.options.cors.preflight(request)).end()
      return
    }
    // A scheme may be written in capitals (RFC 3986, 3.1); Hono's adapter knows small letters only.
    if (!request.url?.startsWith('/'))
      request.url = request.url?.replace(/^https?:/i, (scheme) => scheme.toLowerCase())
    latest = [request, response]
    // It rejects if the host's response takes no head.
    // Hono's adapter uses no more of the response than the port has.
    Promise.resolve(listener(request, response as ServerResponse)).catch((error: unknown) =>
      abandon(request, error),
    )
  }
}

const ALONE: Pick<Bindings, 'isAlone'> = { isAlone: true }
