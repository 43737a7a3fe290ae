import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import {
  type EssError,
  PASS_THROUGH_HEADERS,
  PROBLEM_MEDIA_TYPE,
  PROBLEMS,
  problemLine,
  problemSentences,
  toProblem,
} from '../../shared/index.js'
import { endGently, resetConnection } from '../node/linger.js'
import type { ResponsePort } from '../node/ports.js'
import type { Cors } from './cors.js'
import { removeForeignFields } from './foreign-fields.js'
import { navigates } from './navigates.js'
import { problemPage } from './problem-page.js'

/** The `Retry-After` of a server that is full or stops, in seconds. */
const RETRY_AFTER = 30

/**
 * The challenges of a 401 (RFC 9110, 11.6.1): Basic (RFC 7617) for browsers and `curl -u`, Bearer (RFC 6750) for
 * programs. Each has a line of its own, because Chromium reads one challenge a line.
 */
const CHALLENGES = ['Basic realm="ESS", charset="UTF-8"', 'Bearer realm="ESS"']

/** For a page's script that reads problems: for Basic, the browser would open a dialog of its own over the page. */
const SCRIPT_CHALLENGES = CHALLENGES.slice(1)

/** An embedder's own answer to a refused request, from its option `onError`. */
export interface ErrorAnswer {
  /** The error's own by default. A status that looks like success makes a refusal look like one. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * Answers with a problem: RFC 9457 if the client accepts it, a page for a person in a browser, else one line of text.
 * `headers` are added to it; `own` replaces the status, the body and any header.
 */
export function sendProblem(
  request: IncomingMessage,
  response: ResponsePort,
  cors: Cors,
  error: EssError,
  headers: Readonly<Record<string, string>> = {},
  own?: ErrorAnswer,
): void {
  if (savesAnything(request) && error.code !== 'unauthorized') {
    resetConnection(request.socket)
    return
  }
  const retryAfter = error.retryAfter ?? (error.status === 503 ? RETRY_AFTER : undefined)
  const { body, fields }: Rendered =
    own === undefined
      ? renderProblem(error, request.headers, retryAfter)
      : { body: own.body, fields: PLAIN_TEXT }
  const { headers: sent } = request
  // `complete` alone won't do: Node sets it a moment after the head, even without a body. In HTTP/2 the stream is
  // closed behind the answer, and other streams need the connection.
  const hasUnreadBody =
    !request.complete &&
    request.httpVersionMajor === 1 &&
    (sent['transfer-encoding'] !== undefined || Number(sent['content-length'] ?? 0) > 0)
  // A pipelined request (its response has no socket yet) shares its connection with the transfer ahead, whose end must
  // come as it is. So the body is only skipped: the peer's word on that transfer comes after it.
  if (hasUnreadBody && response.socket === null) request.resume()
  else if (hasUnreadBody) endGently(request.socket)
  removeForeignFields(response)
  response.writeHead(own?.status ?? error.status, {
    ...cors.headers(request),
    ...PASS_THROUGH_HEADERS,
    ...fields,
    'Content-Length': Buffer.byteLength(body),
    ...(hasUnreadBody && { Connection: 'close' }),
    ...(retryAfter !== undefined && { 'Retry-After': String(retryAfter) }),
    ...(error.code === 'unauthorized' && { 'WWW-Authenticate': challengesFor(fields) }),
    ...error.fields,
    ...headers,
    ...own?.headers,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

/**
 * True for a browser that saves the answer without showing it: a link that a person saves unopened, or another try of a
 * download that failed. Firefox does so whatever the status, and calls a saved refusal a finished download. A page's
 * script can't send this: its requests come from a site.
 */
function savesAnything({ method, headers }: IncomingMessage): boolean {
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': destination } = headers
  return method === 'GET' && site === 'none' && mode === 'no-cors' && destination === 'empty'
}

/** The same from where nothing catches what is thrown: see `orReset`. */
export function trySendProblem(...parameters: Parameters<typeof sendProblem>): void {
  orReset(parameters[0], () => sendProblem(...parameters))
}

/**
 * Answers a request in the middle of something that has to go on. If that throws, because the host has a `writeHead` of
 * its own or has answered already, the client is reset: it has no answer, and the process goes on.
 */
export function orReset(request: IncomingMessage, answer: () => void): void {
  try {
    answer()
  } catch (error) {
    abandon(request, error)
  }
}

/** Resets a client to whom no answer could be written, and says why on the process. */
export function abandon(request: IncomingMessage, error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)))
  resetConnection(request.socket)
}

/** A problem as bytes for a bare connection, for a request so broken that Node has no request object for it. */
export function problemAsBytes(error: EssError, headers: Readonly<Record<string, string>> = {}): string {
  const { body, fields } = renderProblem(error, {})
  const head = [
    `HTTP/1.1 ${error.status} ${error.code}`,
    `Content-Type: ${fields['Content-Type']}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

/** A problem as it is written. */
interface Rendered {
  readonly body: string
  readonly fields: Readonly<Record<string, string>>
}

const PLAIN_TEXT = { 'Content-Type': 'text/plain; charset=utf-8' } as const
const PROBLEM_JSON = { 'Content-Type': PROBLEM_MEDIA_TYPE } as const

function challengesFor(fields: Rendered['fields']): string[] {
  return fields === PROBLEM_JSON ? SCRIPT_CHALLENGES : CHALLENGES
}

function renderProblem(
  error: EssError,
  headers: IncomingHttpHeaders,
  retryAfter = error.retryAfter,
): Rendered {
  const { accept = '' } = headers
  const wantsJson = /application\/(?:problem\+)?json/i.test(accept)
  // Some programs accept text/html among others, and would print the page.
  if (!wantsJson && /\btext\/html\b/i.test(accept) && navigates(headers)) {
    const page = problemPage(PROBLEMS[error.code].title, problemSentences(error, retryAfter), error.code)
    return { body: page.body, fields: page.headers }
  }
  return wantsJson
    ? { body: `${JSON.stringify(toProblem(error))}\n`, fields: PROBLEM_JSON }
    : { body: problemLine(error, retryAfter), fields: PLAIN_TEXT }
}
