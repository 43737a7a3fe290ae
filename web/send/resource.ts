import {
  EssError,
  HEADERS,
  isTerminal,
  PROBLEM_MEDIA_TYPE,
  type ProblemCode,
  STATUS_MEDIA_TYPES,
  StatusDecoder,
  type TerminalEvent,
} from '../../shared/index.js'
import { type Facts, uploadAddresses } from '../facts.js'
import { type Answer, ask, refusalIn, SOON_MS, STATUSES_AWAY } from '../http/ask.js'

/** The sender's own handle on its link. */
export interface Resource {
  readonly upload: URL
  readonly events: URL
  /** Where a page says that it is closed. */
  readonly closed: URL
}

/** What a server says of an upload that broke off. */
export type Whereabouts =
  /** It goes on at this byte. */
  | { readonly offset: number }
  /** It goes on at another resource, because the receiver needs earlier bytes. */
  | { readonly rewound: Resource }
  /** It is over. */
  | { readonly verdict: TerminalEvent }

const CONFLICT = 409
const GONE = 410

/** The answer to a HEAD has no body that could name the problem. */
const REFUSALS: Readonly<Record<number, ProblemCode>> = {
  404: 'not-found',
  409: 'already-open',
  429: 'too-many-requests',
}

/**
 * Asks where an upload goes on (draft-ietf-httpbis-resumable-upload, section 4.3). The server gives up the request that
 * is there, if it has not noticed its end. Throws EssError.
 */
export async function askWhere(facts: Facts, resource: Resource, signal: AbortSignal): Promise<Whereabouts> {
  const answer = await ask(resource.upload, { method: 'HEAD', deadlineMs: SOON_MS, signal })
  const { status, headers } = answer
  const location = headers.get('location')
  if (status === CONFLICT && location !== null) return { rewound: uploadAddresses(facts, location) }
  if (status === GONE || headers.get(HEADERS.uploadComplete) === '?1')
    return { verdict: await askVerdict(resource, signal) }
  const code = REFUSALS[status]
  if (code !== undefined) throw new EssError(code)
  // The word of a node for another one, or of a proxy for a server that is away for a moment.
  if (STATUSES_AWAY.includes(status)) throw new EssError('node-away')
  const offset = headers.get(HEADERS.uploadOffset)
  if (status !== 204 || offset === null) throw refusalIn(answer)
  return { offset: Number(offset) }
}

/** How a transfer ended that is over. */
async function askVerdict({ events }: Resource, signal: AbortSignal): Promise<TerminalEvent> {
  const accept = `${STATUS_MEDIA_TYPES.ndjson}, ${PROBLEM_MEDIA_TYPE};q=0.9`
  return verdictIn(await ask(events, { headers: { accept }, deadlineMs: SOON_MS, signal }))
}

/** The verdict in an answer. Throws EssError if there is none. */
export function verdictIn(answer: Answer): TerminalEvent {
  if (answer.status !== 200) throw refusalIn(answer)
  const verdict = new StatusDecoder().push(`${answer.text}\n`).find(isTerminal)
  if (verdict === undefined) throw refusalIn(answer)
  return verdict
}

/** Ends the transfer: the receiver is told at once. */
export async function cancel({ upload }: Resource): Promise<void> {
  try {
    await fetch(upload, { method: 'DELETE', keepalive: true })
  } catch {
    // The server can't be told, and ends it when we don't come back.
  }
}
