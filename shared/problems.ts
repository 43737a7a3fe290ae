import { EXIT_STATUS, type ExitStatus } from './exit-status.js'
import { printable } from './hidden.js'
import { formatDuration } from './units.js'

interface ProblemKind {
  /** The HTTP status of the server's response; null for a failure that only a client can meet. */
  readonly status: number | null
  /** The exit status of `ess`. */
  readonly exit: ExitStatus
  /** What happened: a short sentence without its full stop, the same each time (RFC 9457, 3.1.3). */
  readonly title: string
  /** What to do next, where that is the same each time. */
  readonly next?: string
}

/**
 * Every failure, once: its code, its HTTP status (RFC 9110, 15), its exit status and its title. `docs/errors.md` has
 * a heading for each.
 */
export const PROBLEMS = {
  'bad-request': {
    status: 400,
    exit: EXIT_STATUS.refused,
    title: 'The server could not understand the request',
  },
  'no-file-in-form': { status: 400, exit: EXIT_STATUS.refused, title: 'The form must hold exactly one file' },
  unauthorized: { status: 401, exit: EXIT_STATUS.refused, title: 'This server asks for a token' },
  'cross-site': { status: 403, exit: EXIT_STATUS.refused, title: "Another site's page may not do this" },
  'bad-referer': { status: 403, exit: EXIT_STATUS.refused, title: 'This page may not reserve links here' },
  prefetch: { status: 403, exit: EXIT_STATUS.refused, title: 'This link is not for loading ahead of time' },
  'not-found': {
    status: 404,
    exit: EXIT_STATUS.absent,
    title: 'There is nothing here',
    next: 'Check the link for a typo; it may also have expired.',
  },
  'method-not-allowed': {
    status: 405,
    exit: EXIT_STATUS.refused,
    title: 'This address does not take that method',
  },
  'request-timeout': { status: 408, exit: EXIT_STATUS.refused, title: 'The request took too long to arrive' },
  busy: {
    status: 409,
    exit: EXIT_STATUS.refused,
    title: 'This file is being downloaded already',
    next: 'A link works once. If that is not you, in another tab or program, ask the sender for a link of your own.',
  },
  'already-open': {
    status: 409,
    exit: EXIT_STATUS.refused,
    title: 'This upload has already begun',
    next: 'Reserve another link for another file.',
  },
  rewound: {
    status: 409,
    exit: EXIT_STATUS.refused,
    title: 'The receiver came back and needs earlier bytes',
  },
  // The name of draft-ietf-httpbis-resumable-upload, section 7.
  'mismatching-upload-offset': {
    status: 409,
    exit: EXIT_STATUS.refused,
    title: 'This upload goes on at another byte',
  },
  // Not 416: curl and wget take that for "you have it all", and exit with 0 and a short file.
  'whole-only': {
    status: 409,
    exit: EXIT_STATUS.refused,
    title: 'A link gives the whole file, not a part of it',
  },
  'reservation-required': { status: 409, exit: EXIT_STATUS.refused, title: 'You must reserve a link first' },
  cancelled: {
    status: 410,
    exit: EXIT_STATUS.absent,
    title: 'The sender stopped the transfer',
    next: 'Ask the sender for a new link.',
  },
  gone: {
    status: 410,
    exit: EXIT_STATUS.absent,
    title: 'This link no longer works',
    next: 'Ask the sender for a new one.',
  },
  'length-required': {
    status: 411,
    exit: EXIT_STATUS.refused,
    title: 'The server must know the size of this upload',
  },
  'precondition-failed': {
    status: 412,
    exit: EXIT_STATUS.refused,
    title: 'This link has another file than the one you began',
  },
  'too-large': { status: 413, exit: EXIT_STATUS.refused, title: 'The file is too large for this server' },
  'length-unknown': {
    status: 406,
    exit: EXIT_STATUS.refused,
    title: 'You could not tell whether you have the whole file',
  },
  'unsupported-media-type': {
    status: 415,
    exit: EXIT_STATUS.refused,
    title: 'The server takes files as they are, not encoded',
  },
  'range-not-satisfiable': {
    status: 416,
    exit: EXIT_STATUS.refused,
    title: 'The file ends before the part that you asked for',
  },
  'expectation-failed': {
    status: 417,
    exit: EXIT_STATUS.refused,
    title: 'The server cannot do what the request expects',
  },
  'too-many-requests': {
    status: 429,
    exit: EXIT_STATUS.unavailable,
    title: 'Too many requests for links that do not exist',
  },
  'over-share': {
    status: 429,
    exit: EXIT_STATUS.unavailable,
    title: 'You have reached the limit for one client',
  },
  'headers-too-large': {
    status: 431,
    exit: EXIT_STATUS.refused,
    title: "The request's headers are too large",
  },
  'internal-error': { status: 500, exit: EXIT_STATUS.bug, title: 'The server has a bug' },
  'body-already-read': {
    status: 500,
    exit: EXIT_STATUS.unavailable,
    title: 'The program around this service read the upload first',
  },
  'sender-lost': { status: 502, exit: EXIT_STATUS.broken, title: 'The sender disconnected' },
  'receiver-lost': { status: 502, exit: EXIT_STATUS.broken, title: 'The receiver disconnected' },
  'too-many-sockets': { status: 503, exit: EXIT_STATUS.unavailable, title: 'The server is full' },
  'node-away': {
    status: 503,
    exit: EXIT_STATUS.unavailable,
    title: 'A part of the server cannot be reached',
  },
  // The sender opens its link again at another node. A receiver reads `node-away`, and comes back.
  moved: {
    status: 503,
    exit: EXIT_STATUS.unavailable,
    title: 'This transfer goes on at another part of the server',
  },
  'shutting-down': { status: 503, exit: EXIT_STATUS.unavailable, title: 'The server is stopping' },
  expired: {
    status: 504,
    exit: EXIT_STATUS.absent,
    title: 'The link expired',
    next: 'Ask the sender for a new one.',
  },
  stalled: { status: 504, exit: EXIT_STATUS.broken, title: 'The transfer stalled' },
  'http-version-not-supported': { status: 505, exit: EXIT_STATUS.refused, title: 'This needs HTTP/1.1' },

  usage: { status: null, exit: EXIT_STATUS.usage, title: 'The command line is wrong' },
  'server-unreachable': {
    status: null,
    exit: EXIT_STATUS.unavailable,
    title: 'The server cannot be reached',
  },
  'proxy-failed': { status: null, exit: EXIT_STATUS.unavailable, title: 'The proxy cannot be used' },
  'not-ess': { status: null, exit: EXIT_STATUS.unavailable, title: 'The answer is not from an ESS server' },
  'connection-lost': {
    status: null,
    exit: EXIT_STATUS.broken,
    title: 'The connection broke before the transfer ended',
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
  'key-required': {
    status: null,
    exit: EXIT_STATUS.usage,
    title: 'This file is encrypted, and you gave no key',
  },
  'wrong-key': { status: null, exit: EXIT_STATUS.untrusted, title: 'Your key does not open this file' },
  'not-authentic': {
    status: null,
    exit: EXIT_STATUS.untrusted,
    title: 'What came is not what the sender encrypted',
  },
  'unsafe-bundle': {
    status: null,
    exit: EXIT_STATUS.untrusted,
    title: 'This folder is not safe to unpack',
  },
  interrupted: { status: null, exit: EXIT_STATUS.interrupted, title: 'Interrupted' },
} as const satisfies Record<string, ProblemKind>

/** The name of a failure. It stays the same from the server's response to the exit status of `ess`. */
export type ProblemCode = keyof typeof PROBLEMS

/** A failure on the wire (RFC 9457). `type` ends in the code. */
export interface Problem {
  readonly type: string
  readonly title: string
  /** What happened and what to do next, for people. */
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
  /** Further fields of a server's response. */
  readonly fields: Readonly<Record<string, string>>

  /** `detail` is whole sentences: what happened, then what to do next. Default: the code's own. */
  constructor(
    code: ProblemCode,
    detail?: string,
    options: { cause?: unknown; retryAfter?: number; fields?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail ?? ownWords(code), 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retryAfter = options.retryAfter
    this.fields = options.fields ?? {}
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

/** The code of a problem on the wire, which may be one of a later version. */
export function codeOfProblem({ type }: Problem): string {
  return type.startsWith(TYPE_PREFIX) ? type.slice(TYPE_PREFIX.length) : type
}

/**
 * The whole message for people: what happened, what to do next, when to try again, and the code, for scripts and
 * searches. `retryAfter` is in seconds. Default: the error's own.
 */
export function problemText(error: EssError, retryAfter: number | undefined = error.retryAfter): string {
  return `${problemSentences(error, retryAfter)} [${error.code}]`
}

/** The same without the code. */
export function problemSentences(error: EssError, retryAfter: number | undefined = error.retryAfter): string {
  const again = retryAfter === undefined ? '' : ` Try again in ${formatDuration(retryAfter)}.`
  return printable(error.message) + again
}

/** The text for people who did not ask for problem+json. */
export function problemLine(error: EssError, retryAfter: number | undefined = error.retryAfter): string {
  return `${problemText(error, retryAfter)}\n`
}

function ownWords(code: ProblemCode): string {
  const { title, next }: ProblemKind = PROBLEMS[code]
  return `${title}.${next === undefined ? '' : ` ${next}`}`
}
