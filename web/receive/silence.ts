import { EssError } from '../../shared/index.js'
import { type Link, request } from './link.js'

/** A sender may pause for that long, and longer. */
const SILENCE_MS = 20_000
/** How often we look whether there was news. */
const LOOK_MS = 5_000
/** How long the server's word on a connection may take. */
const ASK_MS = 15_000

interface Silent {
  readonly link: Link
  /** Changes whenever something has come. */
  readonly news: () => number
  /** Called once, if the server has given the connection up. */
  readonly lose: () => void
}

/**
 * Watches a download whose connection may be dead without a sign: a laptop that slept, a network that was changed. After
 * some silence it asks the server, by another connection, whether it still counts on this receiver. Returns what ends it.
 */
export function watchSilence({ link, news, lose }: Silent): () => void {
  const off = new AbortController()
  let heard = news()
  let since = performance.now()
  let isAsking = false
  const look = () => {
    const now = news()
    if (now !== heard) {
      heard = now
      since = performance.now()
    } else if (!isAsking && performance.now() - since >= SILENCE_MS) void ask()
  }
  const ask = async () => {
    isAsking = true
    const isLost = await isGivenUp(link, off.signal)
    isAsking = false
    since = performance.now()
    if (isLost && news() === heard && !off.signal.aborted) lose()
  }
  const timer = setInterval(look, LOOK_MS)
  return () => {
    clearInterval(timer)
    off.abort()
  }
}

/** True if the link waits for a receiver, or is over: then the server doesn't count on the one that there was. */
async function isGivenUp(link: Link, signal: AbortSignal): Promise<boolean> {
  const enough = new AbortController()
  const stop = () => enough.abort()
  const timer = setTimeout(stop, ASK_MS)
  signal.addEventListener('abort', stop)
  try {
    await request('HEAD', link, enough.signal)
    return true
  } catch (error) {
    // Without an answer we know nothing new, and ask again.
    return error instanceof EssError && (error.code === 'not-found' || error.code === 'gone')
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}
