import type { IncomingMessage, ServerResponse } from 'node:http'
import { EssError, PROBLEM_MEDIA_TYPE } from '../../shared/index.js'
import { sendProblem } from '../answer/problem-response.js'
import type { Service } from '../broker/service.js'
import { resetConnection } from '../node/linger.js'

/** Answers a request with why it is refused: in the embedder's own words, where there are any. */
export function refuse(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
  error: EssError,
  headers: Readonly<Record<string, string>> = {},
): void {
  service.refused(error, request)
  // A program that asks for problems, as `ess` does, would not know the embedder's own words from a stranger's.
  const asksForProblem = (request.headers.accept ?? '').toLowerCase().includes(PROBLEM_MEDIA_TYPE)
  const own = asksForProblem ? undefined : service.ownAnswer(error, request)
  sendProblem(request, response, service.options.cors, error, headers, own)
}

/** Ends a request for what was thrown: a refusal is answered, and a bug never looks like a success. */
export function answerThrown(
  service: Service,
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
): void {
  // A host that wouldn't wait for us has answered it already.
  if (thrown instanceof EssError && response.writableEnded) {
    service.refused(thrown, request)
    return
  }
  if (thrown instanceof EssError) {
    refuse(service, request, response, thrown)
    return
  }
  const bug = new EssError('internal-error', 'the server met a bug of its own; its log says more', {
    cause: thrown,
  })
  if (!response.headersSent) {
    refuse(service, request, response, bug)
    return
  }
  // Whatever was written already must not end like a success.
  service.refused(bug, request)
  resetConnection(request.socket)
}
