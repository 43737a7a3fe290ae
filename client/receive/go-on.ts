import { EssError } from '../../shared/index.js'
import type { Exchange } from '../http/exchange.js'
import { Patience } from '../http/patience.js'
import { expectRest, type Offer, type ReceiveOptions, rangeFrom, requestDownload } from './offer.js'

/**
 * How long a receiver tries to go on when it hears nothing. The server waits two minutes by default, and counts from
 * when it notices that we are gone.
 */
const PATIENCE_MS = 180_000

/** Who is told of it. */
export interface GoOnHooks {
  /** Called when the connection is lost, with the seconds for which the download tries to go on. */
  readonly onInterrupted?: (secondsLeft: number) => void
  /** Called when it goes on, with the number of bytes that are here. */
  readonly onResumed?: (bytes: number) => void
}

/** A download that broke off. */
export interface BrokenDownload {
  readonly url: URL
  readonly offer: Offer
  /** Bytes that are in their place. */
  readonly written: { readonly bytes: number }
  readonly reason: EssError
}

/** These may be over at the next try. */
const PASSING: readonly string[] = [
  'incomplete',
  'connection-lost',
  'server-unreachable',
  'proxy-failed',
  'busy',
  'too-many-requests',
  'over-share',
  // A request that was cut in its head, or a proxy that answers for a server that is away.
  'bad-request',
  'request-timeout',
  'not-ess',
]

/** True for a body whose connection was cut, by whatever was in the way. */
export function isCut(error: unknown): error is EssError {
  return error instanceof EssError && error.code === 'incomplete'
}

/** True for an ending of our own, which the server can't know of. */
export function isOurs(error: unknown): boolean {
  return error instanceof EssError && /^(?:interrupted|file-unwritable|file-exists)$/.test(error.code)
}

/**
 * Fetches the rest of a download, as often as it takes. `take` moves a body to its place behind the others. Rejects with
 * an EssError that no other try can mend, or with the last one when it has tried long enough.
 */
export async function goOn(
  { url, offer, written, reason: first }: BrokenDownload,
  options: ReceiveOptions & GoOnHooks,
  take: (answer: Exchange) => Promise<void>,
): Promise<void> {
  const patience = new Patience(PATIENCE_MS, options.signal)
  let reason = first
  for (;;) {
    options.onInterrupted?.(patience.secondsLeft)
    const before = written.bytes
    const rest = requestDownload('GET', url, options, true, rangeFrom(before, offer))
    try {
      await expectRest(rest, url, before, offer)
      options.onResumed?.(before)
      return await take(rest)
    } catch (error) {
      rest.reset()
      if (!(error instanceof EssError)) throw error
      // It is over. The cut says how far we got, and has the exit status of a transfer that broke midway.
      if (!PASSING.includes(error.code)) throw isOurs(error) ? error : reason
      if (error.code === 'incomplete') reason = error
      if (written.bytes > before) patience.calm()
      if (patience.isOver) throw reason
      await patience.pause()
    }
  }
}
