import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import {
  type EssError,
  PASS_THROUGH_HEADERS,
  PROBLEM_MEDIA_TYPE,
  PROBLEMS,
  printable,
  problemLine,
  toProblem,
} from '../../shared/index.js'
import { endGently } from '../node/linger.js'
import type { Cors } from './cors.js'
import { navigates } from './navigates.js'
import { PAGE_HEADERS, problemPage } from './page.js'

/** Seconds after which a server that is full, or stops, may be asked again. */
const RETRY_AFTER = 30

/**
 * The challenges of a 401 (RFC 9110, 11.6.1): RFC 7617 for browsers and `curl -u`, RFC 6750 for programs. A line
 * each, because Chromium reads one challenge a line.
 */
const CHALLENGES = ['Basic realm="ESS", charset="UTF-8"', 'Bearer realm="ESS"']

/** An embedder's own answer to a refused request, from its option `onError`. */
export interface ErrorAnswer {
  /** The error's own by default. A status that looks like success makes a refusal look like one. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

/** Answers with a problem: RFC 9457 where the client accepts it, a page for a browser, one line of text otherwise. */
export function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  cors: Cors,
  error: EssError,
  headers: Readonly<Record<string, string>> = {},
  own?: ErrorAnswer,
): void {
  const { body, contentType } =
    own === undefined
      ? renderProblem(error, request.headers)
      : { body: own.body, contentType: 'text/plain; charset=utf-8' }
  const { headers: sent } = request
  // A request without a body may not be complete yet: Node says so a moment after its head. By HTTP/2 the stream is
  // closed behind the answer, and a connection is nobody's to end.
  const hasUnreadBody =
    !request.complete &&
    request.httpVersionMajor === 1 &&
    (sent['transfer-encoding'] !== undefined || Number(sent['content-length'] ?? 0) > 0)
  // One that was sent too early has the connection of the transfer ahead of it, whose end is not to be meddled with:
  // its body is read over, because what the peer says of that transfer comes after it.
  if (hasUnreadBody && response.socket === null) request.resume()
  else if (hasUnreadBody) endGently(request.socket)
  const retryAfter = error.retryAfter ?? (error.status === 503 ? RETRY_AFTER : undefined)
  response.writeHead(own?.status ?? error.status, {
    ...cors.headers(request),
    ...PASS_THROUGH_HEADERS,
    ...(contentType === PAGE_HEADERS['Content-Type'] && PAGE_HEADERS),
    'Content-Type': contentType,
    'Content-Length': Buffer.byteLength(body),
    ...(hasUnreadBody && { Connection: 'close' }),
    ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
    ...(error.code === 'unauthorized' && { 'WWW-Authenticate': CHALLENGES }),
    ...headers,
    ...own?.headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/** The answer to a request so broken that Node has no request object for it: written on the bare connection. */
export function problemAsBytes(error: EssError, headers: Readonly<Record<string, string>> = {}): string {
  const { body, contentType } = renderProblem(error, {})
  const head = [
    `HTTP/1.1 ${error.status} ${error.code}`,
    `Content-Type: ${contentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

function renderProblem(error: EssError, headers: IncomingHttpHeaders): { body: string; contentType: string } {
  const { accept = '' } = headers
  const wantsJson = /application\/(?:problem\+)?json/i.test(accept)
  // Some programs name text/html among others, and would print the page.
  if (!wantsJson && /\btext\/html\b/i.test(accept) && navigates(headers)) {
    const body = problemPage(PROBLEMS[error.code].title, printable(error.message))
    return { body, contentType: PAGE_HEADERS['Content-Type'] }
  }
  return wantsJson
    ? { body: `${JSON.stringify(toProblem(error))}\n`, contentType: PROBLEM_MEDIA_TYPE }
    : { body: problemLine(error), contentType: 'text/plain; charset=utf-8' }
}
