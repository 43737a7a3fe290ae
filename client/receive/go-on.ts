import { EssError } from '../../shared/index.js'
import type { Exchange } from '../http/exchange.js'
import { Patience } from '../http/patience.js'
import { connectionGivenUp, watchSilence } from '../http/silence.js'
import {
  expectRest,
  incomplete,
  type OpenOffer,
  type ReceiveOptions,
  rangeFrom,
  requestDownload,
} from './offer.js'

/**
 * How long a receiver tries to go on when it hears nothing. The server waits two minutes by default, and counts from
 * when it notices that we are gone.
 */
export const PATIENCE_MS = 180_000

/** A sender may pause for that long, and longer. */
const SILENCE_MS = 20_000

/**
 * How long we ask again for a part that the server refuses because it has not handed on so much. It counts a little late,
 * and we may be back before it has.
 */
const LATE_COUNT_MS = 3_000

/** Who is told of it. */
export interface GoOnHooks {
  /**
   * Called when the connection is lost, and after each try to go on that failed, with the seconds for which it is tried
   * further, and the reason. The first requests of all count too, if the server is there and takes none at this moment, or if
   * the node of a cluster that has the link is away.
   */
  readonly onInterrupted?: (secondsLeft: number, reason: EssError) => void
  /**
   * Called when the download goes on, with the number of bytes that are here: after a cut, and at the beginning of a
   * download that goes on with the part of an earlier one.
   */
  readonly onResumed?: (bytes: number) => void
}

/** A download that broke off. */
export interface BrokenDownload {
  readonly url: URL
  readonly offer: OpenOffer
  /** Bytes of the body that are in their place. */
  readonly written: { readonly bytes: number }
  /** How many bytes of the file they are: fewer, if the body is sealed. */
  readonly inside: (bodyBytes: number) => number
  /** Why it broke off. Undefined if another run began it: that this one goes on is no cut. */
  readonly reason: EssError | undefined
  /** True if what came so far stays with the caller. */
  readonly isStream: boolean
  /** True reads the rest by `Exchange.blocks` if that is possible. */
  readonly inBlocks: boolean
}

/** These may be over at the next try. */
const PASSING: readonly string[] = [
  'incomplete',
  'connection-lost',
  'server-unreachable',
  'proxy-failed',
  'node-away',
  'busy',
  'too-many-requests',
  'over-share',
  // A request that was cut in its head, or a proxy that answers for a server that is away.
  'bad-request',
  'request-timeout',
  'not-ess',
]

/** The server's word that a transfer is over, for both sides. */
const OVER: readonly string[] = [
  'cancelled',
  'expired',
  'gone',
  'not-found',
  'receiver-lost',
  'sender-lost',
  'shutting-down',
  'stalled',
]

/** A part that is of no use for this link. */
const USELESS: readonly string[] = ['whole-only', 'precondition-failed', 'range-not-satisfiable']

/** True for a body whose connection was cut, by whatever was in the way. */
export function isCut(error: unknown): error is EssError {
  return error instanceof EssError && error.code === 'incomplete'
}

/** True for an ending of our own, which the server can't know of. */
export function isOurs(error: unknown): boolean {
  return (
    error instanceof EssError &&
    /^(?:interrupted|file-unwritable|file-exists|not-authentic|unsafe-bundle)$/.test(error.code)
  )
}

/** True if the same transfer may go on at another time. */
export function isPassing(error: unknown): error is EssError {
  return error instanceof EssError && PASSING.includes(error.code)
}

/** True for the server's word that the transfer is over. */
export function isOver(error: unknown): error is EssError {
  return error instanceof EssError && OVER.includes(error.code)
}

/** True for the refusal of a receiver that has bytes which this link did not give. */
export function isUseless(error: unknown): boolean {
  return error instanceof EssError && USELESS.includes(error.code)
}

/**
 * Fetches the rest of a download, as often as it takes. `take` moves a body to its place behind the others. Rejects with
 * an EssError that no other try can mend. When it has tried long enough, it rejects with what `rest` makes of the last
 * one.
 */
export async function goOn(
  { url, offer, written, inside, reason: first, isStream, inBlocks }: BrokenDownload,
  options: ReceiveOptions & GoOnHooks,
  take: (answer: Exchange) => Promise<void>,
  rest: (reason: EssError) => Promise<EssError>,
): Promise<void> {
  const patience = new Patience(PATIENCE_MS, options.signal)
  let reason = first
  let refusedAt: number | undefined
  if (reason !== undefined) options.onInterrupted?.(patience.secondsLeft, reason)
  for (;;) {
    const before = written.bytes
    // There is no rest, and the server would take us for one that has it all.
    if (reason !== undefined && offer.bodySize !== undefined && before >= offer.bodySize) throw reason
    const asking = requestDownload('GET', url, options, inBlocks, rangeFrom(before, offer))
    const stopWatching = watchDownload(asking, { url, written }, options)
    try {
      await expectRest(asking, url, before, offer)
      options.onResumed?.(inside(before))
      return await take(asking)
    } catch (error) {
      asking.reset()
      if (!(error instanceof EssError) || isOurs(error)) throw error
      if (error.code === 'whole-only') {
        refusedAt ??= performance.now()
        if (performance.now() - refusedAt < LATE_COUNT_MS) {
          await patience.pause()
          continue
        }
      } else refusedAt = undefined
      // Before the first byte, the server's refusal says it all. After that it is a transfer that broke midway.
      if (!isPassing(error)) throw reason === undefined ? error : overFor(error)
      if (reason === undefined || error.code === 'incomplete') reason = error
      if (written.bytes > before) patience.calm()
      if (patience.isOver) throw await rest(reason)
      options.onInterrupted?.(patience.secondsLeft, error)
      await patience.pause()
    } finally {
      stopWatching()
    }
  }

  /** The cut says how far we got; the server, why it can't go on. */
  function overFor(refusal: EssError): EssError {
    const [why] = refusal.message.split(/(?<=[.!?]) /)
    return incomplete(refusal, inside(written.bytes), offer.size, isStream, why)
  }
}

/**
 * Fails a download when its connection is silent and the server no longer counts on it: then its link waits for a
 * receiver, or is over. Watches until you call the result.
 */
export function watchDownload(
  answer: Exchange,
  { url, written }: Pick<BrokenDownload, 'url' | 'written'>,
  options: ReceiveOptions,
): () => void {
  return watchSilence({
    news: () => written.bytes,
    patienceMs: () => SILENCE_MS,
    isGivenUp: async (signal) => {
      const look = requestDownload('HEAD', url, { ...options, signal })
      try {
        return [200, 404, 410].includes((await look.head).statusCode ?? 0)
      } finally {
        look.reset()
      }
    },
    lose: () => answer.fail(connectionGivenUp()),
  })
}
