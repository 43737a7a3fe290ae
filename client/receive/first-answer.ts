import { EssError } from '../../shared/index.js'
import type { Exchange } from '../http/exchange.js'
import { Patience } from '../http/patience.js'
import { isOfCluster } from './cluster-link.js'
import { type GoOnHooks, PATIENCE_MS } from './go-on.js'
import type { ReceiveOptions } from './offer.js'

/** The answer to the first request for a link, and what its head says. */
export interface FirstAnswer<Head> {
  readonly answer: Exchange
  readonly head: Head
}

/** With these, a node was away. Its transfers may go on at another one. */
const AWAY: readonly string[] = ['node-away', 'connection-lost']
/** With these, a link was not lost that was there at the try before. */
const AWAY_STILL: readonly string[] = [...AWAY, 'server-unreachable', 'proxy-failed', 'busy']

/** The statuses of a proxy, or of a node, for a node that is away. */
const STATUSES_AWAY: readonly number[] = [502, 503, 504]

/**
 * Asks for a link, and reads the head of the answer. If the link is a cluster's, and its node is away, it asks again: the
 * sender goes on at another node, under the same link. Rejects as `read` does.
 */
export async function firstAnswer<Head>(
  url: URL,
  options: ReceiveOptions & GoOnHooks,
  ask: () => Exchange,
  read: (answer: Exchange) => Promise<Head>,
): Promise<FirstAnswer<Head>> {
  const patience = new Patience(PATIENCE_MS, options.signal)
  let passing = AWAY
  for (;;) {
    const answer = ask()
    try {
      return { answer, head: await read(answer) }
    } catch (error) {
      answer.reset()
      if (!isOfCluster(url) || !(error instanceof EssError)) throw error
      const away = await awayIn(answer, error)
      if (!passing.includes(away.code) || patience.isOver) throw away
      passing = AWAY_STILL
      options.onInterrupted?.(patience.secondsLeft)
      await patience.pause()
    }
  }
}

/** The same error, or what a status alone says: the answer to a HEAD has no problem, and that of a proxy neither. */
async function awayIn({ head }: Exchange, error: EssError): Promise<EssError> {
  if (error.code !== 'not-ess') return error
  const status = await head.then(({ statusCode }) => statusCode ?? 0).catch(() => 0)
  if (!STATUSES_AWAY.includes(status)) return error
  return new EssError(
    'node-away',
    'The part of this server that has the link cannot be reached now. The link may still be good: try again in a minute.',
    { cause: error },
  )
}
