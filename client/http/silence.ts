import { EssError } from '../../shared/index.js'

/** How often we look whether there was news. */
const LOOK_MS = 5_000
/** How long the server's word on a connection may take. */
const ASK_MS = 15_000

/** A connection over which nothing may come for a long time, for good reasons and for bad ones. */
export interface Silent {
  /** Changes whenever something has come. */
  readonly news: () => number
  /** How long nothing may come before we ask. */
  readonly patienceMs: () => number
  /** Asks the server, by another connection, whether it has given this one up. */
  readonly isGivenUp: (signal: AbortSignal) => Promise<boolean>
  /** Called once, if it has. */
  readonly lose: () => void
}

/**
 * Watches a connection until you call the result. If a network changes, or something in between forgets the connection,
 * no reset comes, and TCP by itself takes about a quarter of an hour to notice. The server has the same trouble, but it
 * gives up a transfer that stalls. So when nothing has come for a while, we ask it.
 */
export function watchSilence({ news, patienceMs, isGivenUp, lose }: Silent): () => void {
  const stop = new AbortController()
  let heard = news()
  let since = performance.now()
  let isAsking = false
  const timer = setInterval(() => {
    const now = news()
    if (now !== heard) {
      heard = now
      since = performance.now()
    } else if (!isAsking && performance.now() - since >= patienceMs()) void ask()
  }, LOOK_MS)

  async function ask(): Promise<void> {
    isAsking = true
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(ASK_MS)])
    // Without an answer we know nothing new, and ask again.
    const isLost = await isGivenUp(signal).catch(() => false)
    isAsking = false
    since = performance.now()
    if (isLost && news() === heard && !stop.signal.aborted) lose()
  }

  return () => {
    clearInterval(timer)
    stop.abort()
  }
}

/** The error of a connection that the server has given up. */
export function connectionGivenUp(): EssError {
  return new EssError(
    'connection-lost',
    'Nothing came any more, and the server has given this connection up.',
  )
}
