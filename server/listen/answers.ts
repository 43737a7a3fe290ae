import type { IncomingMessage } from 'node:http'
import { EssError } from '../../shared/index.js'
import { sendProblem } from '../answer/problem-response.js'
import type { Service } from '../broker/service.js'
import type { Answers } from '../http2/server.js'
import type { ResponsePort } from '../node/ports.js'
import { checkHead } from '../routes/guards.js'
import { allowOf } from '../routes/table.js'
import { limitRestOfBody } from './rest-of-body.js'

/** CONNECT names no address, so these are the methods of the one that takes files. */
export const TUNNEL_ALLOW = { Allow: allowOf('root') } as const
export const NO_TUNNEL = new EssError(
  'method-not-allowed',
  'This is an ESS server, not a proxy, so it does not take CONNECT. Check the proxy settings of your program.',
)

/**
 * Hands requests of either version of HTTP to `answer`, the service's handler, and refuses those that are not for it. `mayAsk` is called
 * first for each; where it returns false, the connection has been dealt with.
 */
export function answersOf(
  service: Service,
  answer: Answers['request'],
  mayAsk: (request: IncomingMessage, response: ResponsePort) => boolean,
): Answers {
  const { cors } = service.options

  function refuse(request: IncomingMessage, response: ResponsePort, error: EssError): void {
    service.refused(error, request)
    sendProblem(request, response, cors, error)
  }

  function handle(request: IncomingMessage, response: ResponsePort): void {
    if (!mayAsk(request, response)) return
    limitRestOfBody(request, response)
    try {
      checkHead(request)
    } catch (error) {
      if (!(error instanceof EssError)) throw error
      refuse(request, response, error)
      return
    }
    answer(request, response)
  }

  return {
    request: handle,
    checkContinue(request, response: ResponsePort) {
      // The service decides first whether the body may come: a refused upload costs no bytes.
      service.holdContinue(request)
      handle(request, response)
    },
    checkExpectation(request, response: ResponsePort) {
      if (!mayAsk(request, response)) return
      const expected = `This server does not know "Expect: ${request.headers.expect}". Send the request without that header.`
      refuse(request, response, new EssError('expectation-failed', expected))
    },
    connect(request, response: ResponsePort) {
      service.refused(NO_TUNNEL, request)
      sendProblem(request, response, cors, NO_TUNNEL, TUNNEL_ALLOW)
    },
  }
}
