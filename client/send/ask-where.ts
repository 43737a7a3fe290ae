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
import { bearer } from '../http/bearer.js'
import { exchange } from '../http/exchange.js'
import { notEss, readRefusal } from '../http/refusal.js'
import { unreachable } from '../http/wire-errors.js'
import type { SendOptions } from './send-options.js'
import { expectSoon, readText } from './short-answer.js'
import { resourceOf, type UploadResource } from './upload-resource.js'

/** What a server says of an upload that broke off. */
export type Whereabouts =
  /** It goes on at this byte. */
  | { readonly offset: number }
  /** It goes on at another resource, because the receiver needs earlier bytes. */
  | { readonly rewound: UploadResource }
  /** It is over. */
  | { readonly verdict: TerminalEvent }

const CONFLICT = 409
const GONE = 410

/** The answer to a HEAD has no body that could name the problem. */
const REFUSALS: Readonly<Record<number, ProblemCode>> = {
  401: 'unauthorized',
  404: 'not-found',
  409: 'already-open',
  429: 'too-many-requests',
}

/**
 * Asks where an upload goes on (draft-ietf-httpbis-resumable-upload, section 4.3). The server gives up the request that
 * is there, if it has not noticed its end. Rejects with the server's refusal, with `server-unreachable`, or with `node-away`
 * if the node or proxy that answers can't reach it.
 */
export async function askWhere(resource: UploadResource, options: SendOptions): Promise<Whereabouts> {
  const { upload: url } = resource
  const asking = exchange('HEAD', url, {
    headers: { accept: PROBLEM_MEDIA_TYPE, ...bearer(url, options) },
    signal: options.signal,
  })
  try {
    const head = await expectSoon(asking, url, asking.head)
    const { location } = head.headers
    if (head.statusCode === CONFLICT) {
      const rewound = resourceOf(location, url)
      if (rewound !== undefined) return { rewound }
    }
    const offset = Number(head.headers[HEADERS.uploadOffset])
    const isComplete = head.headers[HEADERS.uploadComplete] === '?1'
    if (head.statusCode === GONE || isComplete) return { verdict: await askVerdict(resource, options) }
    const code = REFUSALS[head.statusCode ?? 0]
    if (code !== undefined) throw new EssError(code)
    // The word of a node for another one, or of a proxy for a server that is away for a moment.
    if ((head.statusCode ?? 0) > 501) throw away(url, `it answered with HTTP ${head.statusCode}`)
    if (head.statusCode !== 204 || !Number.isSafeInteger(offset)) throw notEss(head, url)
    return { offset }
  } finally {
    asking.reset()
  }
}

function away(url: URL, words: string): EssError {
  const { message, cause } = unreachable(url, words)
  return new EssError('node-away', message, { cause })
}

/** How a transfer ended that is over. */
async function askVerdict({ events: url }: UploadResource, options: SendOptions): Promise<TerminalEvent> {
  const asking = exchange('GET', url, {
    headers: { accept: `${STATUS_MEDIA_TYPES.ndjson}, ${PROBLEM_MEDIA_TYPE};q=0.9`, ...bearer(url, options) },
    signal: options.signal,
  })
  try {
    const head = await expectSoon(asking, url, asking.head)
    if ((head.statusCode ?? 0) >= 400) throw await readRefusal(asking, head, url)
    const verdict = new StatusDecoder().push(`${await readText(asking, head, url)}\n`).find(isTerminal)
    if (verdict === undefined) throw notEss(head, url)
    return verdict
  } finally {
    asking.reset()
  }
}
