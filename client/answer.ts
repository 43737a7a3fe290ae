import type { IncomingMessage } from 'node:http'
import { EssError, fromProblem, PROBLEM_MEDIA_TYPE } from '../shared/index.js'
import type { Exchange } from './http.js'

/** A problem is some hundred bytes; whatever is longer is somebody else's page. */
const MAX_PROBLEM_BYTES = 64 * 1024

/** What a refusal says: the server's own problem, or `not-ess` when the answer isn't one. */
export async function readRefusal(answer: Exchange, head: IncomingMessage, url: URL): Promise<EssError> {
  const status = head.statusCode ?? 0
  if (!(head.headers['content-type'] ?? '').startsWith(PROBLEM_MEDIA_TYPE)) return notEss(head, url)
  let text = ''
  try {
    for await (const chunk of answer.body) {
      text += String(chunk)
      if (text.length > MAX_PROBLEM_BYTES) return notEss(head, url)
    }
  } catch (error) {
    // A refusal may be followed by a reset; what was read before it may be whole nevertheless.
    if (answer.failure?.code === 'interrupted') return answer.failure
    if (text === '') return notEss(head, url, error)
  }
  const problem = fromProblem(parseJson(text), status >= 500 ? 'internal-error' : 'bad-request')
  if (problem === undefined) return notEss(head, url)
  const retryAfter = Number(head.headers['retry-after'])
  return Number.isNaN(retryAfter) ? problem : new EssError(problem.code, problem.message, { retryAfter })
}

/** One line that says what was found where an ESS server was expected. */
export function notEss(head: IncomingMessage, url: URL, cause?: unknown): EssError {
  const { location } = head.headers
  const type = head.headers['content-type']?.split(';')[0] ?? 'no content type'
  const found = location === undefined ? `HTTP ${head.statusCode} (${type})` : `a redirect to ${location}`
  return new EssError('not-ess', `Expected an ESS server at ${url.origin}, got ${found}`, { cause })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON, so not a problem: the caller says so.
    return undefined
  }
}
