import type { IncomingMessage } from 'node:http'
import type { Service } from '../broker/service.js'
import type { ResponsePort } from '../node/ports.js'
import { isHost } from '../request/public-url.js'
import { isOurs, plainAddressOf, queryOf } from './addresses.js'
import { answerTransfer, entryOf, OPEN, RECEIVE } from './table.js'

/** A listener for `node:http`. */
export type RequestListener = (request: IncomingMessage, response: ResponsePort) => void

/**
 * The door without Hono, for the two requests of an ordinary transfer: a router, its request and its response cost as
 * much as moving a short file. Every other request goes to `routes`. Both doors take their answer from the same table.
 */
export function takeDirectly(broker: Service, routes: RequestListener): RequestListener {
  return (request, response) => {
    const address = plainAddressOf(request.url ?? '')
    if (address !== undefined && isPlain(request)) {
      const entry = entryOf(address, request)
      if (entry === OPEN || (entry === RECEIVE && isOurs(address, request, broker.options))) {
        void answerTransfer(
          broker,
          { request, response, query: queryOf(request), basePath: '', address },
          entry,
        )
        return
      }
    }
    routes(request, response)
  }
}

/** True for a request of HTTP/1.1 with a valid host that has come through no framework's mount. */
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
