import { EXIT_STATUS, type ExitStatus } from './exit-status.js'
import { printable } from './hidden.js'

interface ProblemKind {
  /** The HTTP status of the server's response; null for a failure that only a client can meet. */
  readonly status: number | null
  /** The exit status of `ess`. */
  readonly exit: ExitStatus
  /** A short sentence, the same each time (RFC 9457, 3.1.3). */
  readonly title: string
}

/**
 * Every failure, once: its code, its HTTP status (RFC 9110, 15), its exit status and its title. `docs/errors.md` has
 * a heading for each.
 */
export const PROBLEMS = {
  'bad-request': { status: 400, exit: EXIT_STATUS.refused, title: 'The request could not be understood' },
  'no-file-in-form': {
    status: 400,
    exit: EXIT_STATUS.refused,
    title: 'The form holds no file, or not just one',
  },
  unauthorized: { status: 401, exit: EXIT_STATUS.refused, title: 'This needs a token' },
  'cross-site': { status: 403, exit: EXIT_STATUS.refused, title: "Another site's page may not do this" },
  'bad-referer': { status: 403, exit: EXIT_STATUS.refused, title: 'This page may not reserve here' },
  prefetch: { status: 403, exit: EXIT_STATUS.refused, title: 'A link that works once is not fetched ahead' },
  'not-found': { status: 404, exit: EXIT_STATUS.absent, title: 'There is nothing here' },
  'method-not-allowed': {
    status: 405,
    exit: EXIT_STATUS.refused,
    title: 'This method is not for this address',
  },
  'request-timeout': { status: 408, exit: EXIT_STATUS.refused, title: 'The request head took too long' },
  busy: { status: 409, exit: EXIT_STATUS.refused, title: 'Somebody else is receiving this' },
  'already-open': { status: 409, exit: EXIT_STATUS.refused, title: 'This socket has its sender already' },
  // Not 416: curl and wget take that for "you have it all", and exit with 0 and a short file.
  'whole-only': { status: 409, exit: EXIT_STATUS.refused, title: 'A link gives the whole file, not a part' },
  'reservation-required': {
    status: 409,
    exit: EXIT_STATUS.refused,
    title: 'This server needs a reservation first',
  },
  cancelled: { status: 410, exit: EXIT_STATUS.absent, title: 'The sender cancelled it' },
  gone: { status: 410, exit: EXIT_STATUS.absent, title: 'This transfer is over' },
  'length-required': { status: 411, exit: EXIT_STATUS.refused, title: 'This upload must say how long it is' },
  'too-large': {
    status: 413,
    exit: EXIT_STATUS.refused,
    title: 'The upload is larger than this server accepts',
  },
  'length-unknown': {
    status: 406,
    exit: EXIT_STATUS.refused,
    title: 'This receiver could not tell whether it has everything',
  },
  'unsupported-media-type': {
    status: 415,
    exit: EXIT_STATUS.refused,
    title: 'This kind of body is not accepted',
  },
  'expectation-failed': {
    status: 417,
    exit: EXIT_STATUS.refused,
    title: 'This expectation cannot be met',
  },
  'too-many-requests': {
    status: 429,
    exit: EXIT_STATUS.unavailable,
    title: 'This client asks too often for what is not there',
  },
  'over-share': { status: 429, exit: EXIT_STATUS.unavailable, title: 'This client has its whole share' },
  'headers-too-large': { status: 431, exit: EXIT_STATUS.refused, title: 'The request head is too large' },
  'internal-error': { status: 500, exit: EXIT_STATUS.bug, title: 'The server met a bug of its own' },
  'body-already-read': {
    status: 500,
    exit: EXIT_STATUS.unavailable,
    title: 'The program around this service read the upload first',
  },
  'sender-lost': { status: 502, exit: EXIT_STATUS.broken, title: 'The sender went away' },
  'receiver-lost': { status: 502, exit: EXIT_STATUS.broken, title: 'The receiver went away' },
  'too-many-sockets': { status: 503, exit: EXIT_STATUS.unavailable, title: 'The server is full' },
  'shutting-down': { status: 503, exit: EXIT_STATUS.unavailable, title: 'The server is stopping' },
  expired: { status: 504, exit: EXIT_STATUS.absent, title: 'Nobody came in time' },
  stalled: { status: 504, exit: EXIT_STATUS.broken, title: 'No byte moved for too long' },
  'http-version-not-supported': {
    status: 505,
    exit: EXIT_STATUS.refused,
    title: 'This needs HTTP/1.1',
  },

  usage: { status: null, exit: EXIT_STATUS.usage, title: 'The command line is wrong' },
  'server-unreachable': {
    status: null,
    exit: EXIT_STATUS.unavailable,
    title: 'The server cannot be reached',
  },
  'proxy-failed': {
    status: null,
    exit: EXIT_STATUS.unavailable,
    title: 'The proxy cannot be used',
  },
  'not-ess': { status: null, exit: EXIT_STATUS.unavailable, title: 'The answer is not from an ESS server' },
  'connection-lost': {
    status: null,
    exit: EXIT_STATUS.broken,
    title: 'The connection ended before the transfer did',
  },
  unconfirmed: {
    status: null,
    exit: EXIT_STATUS.unverified,
    title: 'The receiver has not confirmed that it has the file',
  },
  incomplete: { status: null, exit: EXIT_STATUS.broken, title: 'The download is not whole' },
  'file-exists': { status: null, exit: EXIT_STATUS.local, title: 'The file exists already' },
  'file-unreadable': { status: null, exit: EXIT_STATUS.local, title: 'The file cannot be read' },
  'file-unwritable': { status: null, exit: EXIT_STATUS.local, title: 'The file cannot be written' },
  'file-changed': { status: null, exit: EXIT_STATUS.local, title: 'The file changed while it was sent' },
  interrupted: { status: null, exit: EXIT_STATUS.interrupted, title: 'Interrupted' },
} as const satisfies Record<string, ProblemKind>

/** The name of a failure. It stays the same from the server's response to the exit status of `ess`. */
export type ProblemCode = keyof typeof PROBLEMS

/** A failure on the wire (RFC 9457). `type` ends in the code. */
export interface Problem {
  readonly type: string
  readonly title: string
  /** What was expected and what came, for people. */
  readonly detail?: string
  /** The HTTP status; absent in a `failed` event, because the 201 is already out. */
  readonly status?: number
}

/** The media type of a problem as JSON (RFC 9457, 6.1). */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

const TYPE_PREFIX = 'urn:ess:problem:'

/** An expected failure. Anything else that is thrown is a bug. */
export class EssError extends Error {
  override readonly name = 'EssError'
  readonly code: ProblemCode
  /** Seconds until another try makes sense (the `Retry-After` header of RFC 9110, 10.2.3). */
  readonly retryAfter: number | undefined

  /** `detail` says what was expected and what came. Default: the code's title. */
  constructor(code: ProblemCode, detail?: string, options: { cause?: unknown; retryAfter?: number } = {}) {
    super(detail ?? PROBLEMS[code].title, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retryAfter = options.retryAfter
  }

  /** The HTTP status of a server's response; 500 for a failure that only a client can meet. */
  get status(): number {
    return PROBLEMS[this.code].status ?? 500
  }

  /** The exit status of `ess`. */
  get exitStatus(): ExitStatus {
    return PROBLEMS[this.code].exit
  }
}

/** True for the name of a failure in this version of the protocol. */
export function isProblemCode(value: string): value is ProblemCode {
  return Object.hasOwn(PROBLEMS, value)
}

/** The failure in the form of RFC 9457, with its HTTP status. */
export function toProblem(error: EssError): Problem {
  return { ...toFailedProblem(error), status: error.status }
}

/** The failure for a `failed` event. It has no status, because the response's own is already out. */
export function toFailedProblem(error: EssError): Problem {
  // The message may quote one peer's bytes to the other, whose terminal would obey some of them.
  return {
    type: TYPE_PREFIX + error.code,
    title: PROBLEMS[error.code].title,
    detail: printable(error.message),
  }
}

/**
 * Reads a problem from the wire. Undefined if it isn't one. A code of a later version becomes `fallback`, and keeps
 * its words.
 */
export function fromProblem(value: unknown, fallback: ProblemCode): EssError | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { type, title, detail } = value as Readonly<Record<string, unknown>>
  if (typeof type !== 'string' || !type.startsWith(TYPE_PREFIX)) return undefined
  const code = type.slice(TYPE_PREFIX.length)
  const words = [detail, title].find((text) => typeof text === 'string' && text !== '')
  return new EssError(isProblemCode(code) ? code : fallback, words as string | undefined)
}

/** The one line for people who did not ask for problem+json. */
export function problemLine(error: EssError): string {
  return `${error.code}: ${printable(error.message)}\n`
}
