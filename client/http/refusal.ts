import type { IncomingMessage } from 'node:http'
import {
  EssError,
  fromProblem,
  PROBLEM_MEDIA_TYPE,
  type ProblemCode,
  withoutUserinfo,
} from '../../shared/index.js'
import { AwayError, STATUSES_AWAY } from './away.js'
import type { Reply } from './exchange.js'
import { otherThanEss } from './wire-errors.js'

/** A problem has some hundred bytes; anything longer is another program's page. */
const MAX_PROBLEM_BYTES = 64 * 1024
/** How long the problem may take after the head of its response. */
const PROBLEM_MS = 5_000

/** Reads the error in a refusal: the server's own problem, or `not-ess` if the body isn't one. */
export async function readRefusal(answer: Reply, head: IncomingMessage, url: URL): Promise<EssError> {
  const refusal = await readProblem(answer, head, url)
  const seconds = retryAfterOf(head)
  if (seconds === undefined || refusal.code === 'interrupted') return refusal
  const Kind = refusal instanceof AwayError ? AwayError : EssError
  return new Kind(refusal.code, refusal.message, { cause: refusal.cause, retryAfter: seconds })
}

async function readProblem(answer: Reply, head: IncomingMessage, url: URL): Promise<EssError> {
  const status = head.statusCode ?? 0
  if (!(head.headers['content-type'] ?? '').startsWith(PROBLEM_MEDIA_TYPE)) return noProblem(head, url)
  let text = ''
  const late = setTimeout(() => answer.reset(), PROBLEM_MS)
  try {
    for await (const chunk of answer.body) {
      text += String(chunk)
      if (text.length > MAX_PROBLEM_BYTES) return notEss(head, url)
    }
  } catch (error) {
    // A refusal may be followed by a reset, and the part read before it may still be whole.
    if (answer.failure?.code === 'interrupted') return answer.failure
    if (text === '') return notEss(head, url, error)
  } finally {
    clearTimeout(late)
  }
  return fromProblem(parseJson(text), fallbackOf(status)) ?? notEss(head, url)
}

/** A code of a later version means as much as its status. */
function fallbackOf(status: number): ProblemCode {
  if (status === TOO_MANY_REQUESTS) return 'too-many-requests'
  return status >= 500 ? 'internal-error' : 'bad-request'
}

/** A proxy in front may limit clients in its own words, and an ESS server may stand behind it. */
function noProblem(head: IncomingMessage, url: URL): EssError {
  const status = head.statusCode ?? 0
  if (STATUSES_AWAY.includes(status)) return away(notEss(head, url))
  if (status !== TOO_MANY_REQUESTS) return notEss(head, url)
  return new EssError('too-many-requests', `${url.origin} takes no more requests for now (HTTP 429).`)
}

const TOO_MANY_REQUESTS = 429

/** A proxy stands for a server that it can't ask now. */
function away({ code, message, cause }: EssError): AwayError {
  return new AwayError(code, message, { cause })
}

/**
 * Seconds until another try makes sense. Undefined without the header, or for a date, which our servers never send.
 */
function retryAfterOf({ headers }: IncomingMessage): number | undefined {
  const seconds = headers['retry-after']
  return seconds !== undefined && /^\d{1,9}$/.test(seconds) ? Number(seconds) : undefined
}

/** Says what we found where an ESS server should be. */
export function notEss(head: IncomingMessage, url: URL, cause?: unknown): EssError {
  const { location } = head.headers
  if (location !== undefined) {
    const words = `${url.origin} redirects to ${withoutUserinfo(location)}. If that is your server, use its address.`
    return new EssError('not-ess', words, { cause })
  }
  const type = head.headers['content-type']?.split(';')[0] ?? 'no content type'
  const what = type === 'text/html' ? 'a web page' : type
  return otherThanEss(url, `it answered with HTTP ${head.statusCode} and ${what}`, cause)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // It isn't JSON, so it isn't a problem, and the caller says so.
    return undefined
  }
}
