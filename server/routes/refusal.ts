import type { IncomingMessage } from 'node:http'
import { EssError, PROBLEM_MEDIA_TYPE } from '../../shared/index.js'
import { trySendProblem } from '../answer/problem-response.js'
import type { Service } from '../broker/service.js'
import { resetConnection } from '../node/linger.js'
import type { ResponsePort } from '../node/ports.js'

/** Answers a request with the reason why it is refused: by the embedder's `onError`, or by the built-in problem. */
export function refuse(
  service: Service,
  request: IncomingMessage,
  response: ResponsePort,
  error: EssError,
  headers: Readonly<Record<string, string>> = {},
): void {
  service.refused(error, request)
  // A program that asks for problems, as `ess` does, goes by their codes and can't read the embedder's words.
  const asksForProblem = (request.headers.accept ?? '').toLowerCase().includes(PROBLEM_MEDIA_TYPE)
  const own = asksForProblem ? undefined : service.ownAnswer(error, request)
  trySendProblem(request, response, service.options.cors, error, headers, own)
}

/**
 * Ends a request after an exception. An EssError is a refusal, and answered. Anything else is a bug, and must not look
 * like a success.
 */
export function answerThrown(
  service: Service,
  request: IncomingMessage,
  response: ResponsePort,
  thrown: unknown,
): void {
  // A host that wouldn't wait has answered already.
  if (thrown instanceof EssError && response.writableEnded) {
    service.refused(thrown, request)
    return
  }
  if (thrown instanceof EssError) {
    refuse(service, request, response, thrown)
    return
  }
  const bug = new EssError(
    'internal-error',
    'The server has a bug. Please tell its operator: the log says more.',
    {
      cause: thrown,
    },
  )
  if (!response.headersSent) {
    refuse(service, request, response, bug)
    return
  }
  // Part of an answer is out, and must not end like a success.
  service.refused(bug, request)
  resetConnection(request.socket)
}
