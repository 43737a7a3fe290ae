import { EssError, type ProblemCode } from '../../shared/index.js'
import { RECEIVING } from '../../shared/page-words-receiving.js'
import { Patience } from '../http/patience.js'
import { AWAY } from '../http/until-back.js'
import { expectRest, type Head, headOf, type Link, rangeFrom, request, WHOLE } from './link.js'
import { type Ending, piecesOf } from './read-ahead.js'
import { watchSilence } from './silence.js'

/**
 * How long a receiver tries to go on when it hears nothing. The server waits two minutes by default, and counts from
 * when it notices that we are gone.
 */
const PATIENCE_MS = 180_000

/** These may be over at the next try. */
const PASSING: readonly ProblemCode[] = [
  'incomplete',
  'connection-lost',
  'server-unreachable',
  ...AWAY,
  'busy',
  'too-many-requests',
  'over-share',
  // A request that was cut in its head, or a proxy that answers for a server that is away.
  'bad-request',
  'request-timeout',
  'not-ess',
]

/** Then no answer has come, and the next request may be the first that arrives. */
export const UNHEARD: readonly ProblemCode[] = ['server-unreachable', 'connection-lost']
/** So may it if the part of the server that has the link is away: the sender goes on at another one. */
const PASSING_AT_FIRST: readonly ProblemCode[] = [...UNHEARD, ...AWAY]

/**
 * How long we ask again for a part that the server refuses because it has not handed on so much. It counts a little late,
 * and we may be back before it has.
 */
const LATE_COUNT_MS = 3_000

/** What happens to a download. */
export interface Taker {
  /** Called when the server takes this page for the receiver, which must then tell it if it stops for good. */
  onTaken(): void
  /** Called once, with the head of the whole file. The download waits for it. */
  onHead(head: Head): Promise<void>
  /** Called with each piece of the body. The next one is not read before this is over. */
  onBytes(bytes: Uint8Array<ArrayBuffer>): Promise<void>
  /** True if the body may end here. Without a size, a cut may look like the end. */
  isWhole(): boolean
  /** Called when the connection is lost, and after each try to go on that failed. */
  onInterrupted(secondsLeft: number): void
  /** Called when the download goes on. */
  onResumed(): void
}

/** Our own endings, which the server can't know of. */
const OURS: readonly ProblemCode[] = ['not-authentic', 'unsafe-bundle', 'file-unwritable', 'too-large']

/**
 * Fetches the body of a link, whole, by as many requests as it takes, and resolves with its size. Throws the server's refusal; EssError `incomplete`,
 * whose message says why, if the body broke off for good; or what `signal` was aborted with, or `taker` has thrown.
 */
export async function download(link: Link, signal: AbortSignal, taker: Taker): Promise<number> {
  const patience = new Patience(PATIENCE_MS)
  let head: Head | undefined
  let bytes = 0
  let isLost = false
  let passingAtFirst = PASSING_AT_FIRST
  let refusedAt: number | undefined
  for (;;) {
    const before = bytes
    try {
      if ((await fetchOnce()) === 'ended') return bytes
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof EssError) || OURS.includes(error.code)) throw error
      // Before the first byte, the server's refusal says it all. After that it is a transfer that broke midway.
      if (head === undefined ? !passingAtFirst.includes(error.code) : !head.isResumable) throw over(error)
      // It may still count on a receiver that was cut off together with that part.
      if (AWAY.includes(error.code)) passingAtFirst = [...PASSING_AT_FIRST, 'busy']
      if (error.code === 'not-found')
        throw over(new EssError('not-found', RECEIVING.forgotten, { cause: error }))
      refusedAt = error.code === 'whole-only' ? (refusedAt ?? performance.now()) : undefined
      const mayBeLate = refusedAt !== undefined && performance.now() - refusedAt < LATE_COUNT_MS
      if (!mayBeLate && !PASSING.includes(error.code)) throw over(error)
      if (bytes > before) patience.calm()
      if (patience.isOver) throw over(error)
      isLost = true
      taker.onInterrupted(patience.secondsLeft)
      await patience.pause(signal)
    }
  }

  function over(error: EssError): EssError {
    if (head === undefined || error.code === 'incomplete') return error
    const [why] = error.message.split(/(?<=[.!?]) /)
    return new EssError('incomplete', why, { cause: error })
  }

  async function fetchOnce(): Promise<Ending> {
    const off = new AbortController()
    const stop = () => off.abort()
    signal.addEventListener('abort', stop)
    const stopWatching = watchSilence({ link, news: () => bytes, lose: stop })
    try {
      const answer = await asked(off.signal)
      if (head === undefined) {
        head = headOf(answer, link)
        await taker.onHead(head)
      } else expectRest(answer, bytes, head, link)
      if (isLost) taker.onResumed()
      isLost = false
      return await read(answer, head, stop)
    } finally {
      signal.removeEventListener('abort', stop)
      stopWatching()
      // What is still to come is of no use.
      stop()
    }
  }

  async function asked(off: AbortSignal): Promise<Response> {
    try {
      const answer = await request(
        'GET',
        link,
        off,
        head === undefined ? WHOLE : rangeFrom(bytes, head, link),
      )
      taker.onTaken()
      return answer
    } catch (error) {
      if (error instanceof EssError || signal.aborted) throw error
      throw new EssError('connection-lost', undefined, { cause: error })
    }
  }

  async function read({ body }: Response, { size, isResumable }: Head, pause: () => void): Promise<Ending> {
    const mayPause = size !== undefined && isResumable && link.mayPause
    const pieces = piecesOf(body, mayPause, pause)
    for (;;) {
      const { done, value } = await pieces.next()
      signal.throwIfAborted()
      if (done) {
        if (value === 'paused') return value
        if (size === undefined ? !taker.isWhole() : bytes !== size) throw new EssError('incomplete')
        return value
      }
      bytes += value.length
      if (size !== undefined && bytes > size) throw new EssError('not-authentic')
      await taker.onBytes(value)
    }
  }
}
