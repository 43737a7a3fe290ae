import { EssError, fromProblem, PROBLEM_MEDIA_TYPE, type ProblemCode } from '../../shared/index.js'
import { COMMON } from '../../shared/page-words.js'

/** How long the server may take to answer what it can answer at once. */
export const SOON_MS = 20_000

export const JSON_ACCEPT = `application/json, ${PROBLEM_MEDIA_TYPE};q=0.9`

export interface Asking extends Omit<RequestInit, 'signal'> {
  readonly signal: AbortSignal
  /** How long the whole answer may take. Default: for ever. */
  readonly deadlineMs?: number
}

/** A whole answer. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/**
 * Asks the server. Throws EssError `server-unreachable` if no whole answer comes, whatever the reason: a browser doesn't say.
 * Throws what `signal` was aborted with.
 */
export async function ask(url: URL, { deadlineMs, signal, ...init }: Asking): Promise<Answer> {
  signal.throwIfAborted()
  const off = new AbortController()
  const stop = () => off.abort()
  const timer = deadlineMs === undefined ? undefined : setTimeout(stop, deadlineMs)
  signal.addEventListener('abort', stop)
  try {
    const answer = await fetch(url, { ...ALWAYS, ...init, signal: off.signal })
    return { status: answer.status, headers: answer.headers, text: await answer.text() }
  } catch (error) {
    signal.throwIfAborted()
    throw new EssError('server-unreachable', undefined, { cause: error })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

/** Nothing of a transfer is cached, and no answer of ESS leads elsewhere. */
export const ALWAYS = { cache: 'no-store', redirect: 'error' } as const satisfies RequestInit

/** The statuses of a proxy for a server that is away. A node says the last but one for another node, too. */
export const STATUSES_AWAY: readonly number[] = [502, 503, 504]

/**
 * The refusal in an answer. That of something else than ESS, such as a proxy, is `not-ess`, or `node-away` for a server
 * that is away.
 */
export function refusalIn(answer: Answer): EssError {
  const { status } = answer
  const code = STATUSES_AWAY.includes(status) ? 'node-away' : 'not-ess'
  return problemIn(answer) ?? new EssError(code, COMMON.notEss(status))
}

/** The problem in an answer; undefined if it is none of ours. */
export function problemIn({ status, headers, text }: Answer): EssError | undefined {
  if (!(headers.get('content-type') ?? '').startsWith(PROBLEM_MEDIA_TYPE)) return undefined
  const error = fromProblem(parsed(text), codeOfStatus(status))
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  if (error === undefined || !(seconds > 0)) return error
  return new EssError(error.code, error.message, { retryAfter: seconds })
}

/** The object in a text of JSON, whose members the caller checks. Undefined if there is none. */
export function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    // Any object can be asked for a member.
    return typeof value === 'object' && value !== null
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    // It isn't JSON, and the caller says so.
    return undefined
  }
}

/** For a code of a later version. */
function codeOfStatus(status: number): ProblemCode {
  if (status === 401) return 'unauthorized'
  if (status === 429) return 'too-many-requests'
  return status >= 500 ? 'internal-error' : 'bad-request'
}
