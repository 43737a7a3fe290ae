import type { IncomingMessage } from 'node:http'
import { EssError, HEADERS, QUERY } from '../../shared/index.js'

/** How long a sender's link waits for a receiver. */
export interface Ttl {
  readonly ttlMs: number
  /** What the sender asked for, where that is longer than this server allows. */
  readonly askedTtlMs?: number
}

/** How long a sender wants to wait, as in `?ttl=30`. Throws EssError `bad-request`. */
export function requestedTtl(query: URLSearchParams, maxTtlMs: number): Ttl {
  const text = query.get(QUERY.ttl)
  if (text === null) return { ttlMs: maxTtlMs }
  const askedTtlMs = 1000 * Number(text)
  if (/^\d{1,15}(?:\.\d+)?$/.test(text) && askedTtlMs > 0) {
    return askedTtlMs > maxTtlMs ? { ttlMs: maxTtlMs, askedTtlMs } : { ttlMs: askedTtlMs }
  }
  throw new EssError(
    'bad-request',
    `The ttl must be a positive number of seconds, such as 600, not ${JSON.stringify(text)}.`,
  )
}

/**
 * How long a receiver is ready to wait for a socket that doesn't exist yet: `?wait=30` or `Prefer: wait=30`
 * (RFC 7240, 4.3). 0 where the request doesn't say; at most `maxWaitMs`. Throws EssError `bad-request`.
 */
export function requestedWaitMs(request: IncomingMessage, query: URLSearchParams, maxWaitMs: number): number {
  const asked = query.get(QUERY.wait)
  if (asked !== null && !/^\d+(?:\.\d+)?$/.test(asked)) {
    throw new EssError(
      'bad-request',
      `The wait must be a number of seconds, such as 60, not ${JSON.stringify(asked)}.`,
    )
  }
  const seconds = Number(asked ?? preferredWait(request) ?? 0)
  return Math.min(1000 * seconds, maxWaitMs)
}

/** A preference that can't be read is ignored (RFC 7240, 2). */
function preferredWait({ headers }: IncomingMessage): string | undefined {
  const prefer = headers[HEADERS.prefer]
  if (prefer === undefined) return undefined
  return /(?:^|[,;])\s*wait\s*=\s*"?(\d+)/i.exec([prefer].flat().join(','))?.[1]
}
