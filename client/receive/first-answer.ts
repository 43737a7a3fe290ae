import { EssError } from '../../shared/index.js'
import { isAway, STATUSES_AWAY } from '../http/away.js'
import type { Exchange } from '../http/exchange.js'
import { FirstTries } from '../http/first-tries.js'
import { isOfCluster } from './cluster-link.js'
import { type GoOnHooks, PATIENCE_MS } from './go-on.js'
import type { ReceiveOptions } from './offer.js'
import type { Wanted } from './wanted.js'

/** The answer to the first request for a link, and what its head says. */
export interface FirstAnswer<Head> {
  readonly answer: Exchange
  readonly head: Head
}

/** With these, the node of a cluster was away. Its transfers may go on at another one. */
const NODE_AWAY: readonly string[] = ['node-away', 'connection-lost']

/**
 * Asks for a link, and reads the head of the answer. If the server is restarted, or a balancer has no node for us, it asks
 * again for a while. If the link is a cluster's, and its node is away, it asks for longer: the sender goes on at another
 * node, under the same link. Rejects as `read` does.
 */
export async function firstAnswer<Head>(
  { url, isTried }: Wanted,
  options: ReceiveOptions & GoOnHooks,
  ask: () => Exchange,
  read: (answer: Exchange) => Promise<Head>,
): Promise<FirstAnswer<Head>> {
  const tries = new FirstTries({
    url,
    signal: options.signal,
    onAway: options.onInterrupted,
    ...(isOfCluster(url) && {
      reopening: { ms: PATIENCE_MS, isShownBy: ({ code }) => NODE_AWAY.includes(code) },
    }),
  })
  for (;;) {
    const answer = ask()
    try {
      return { answer, head: await read(answer) }
    } catch (error) {
      answer.reset()
      const told = isOfCluster(url) ? await withStatus(answer, error) : error
      if (isTried) throw told
      await tries.after(told)
    }
  }
}

/** True for an error with which `firstAnswer` rejects only when it has asked for long enough. */
export function isTriedEnough(url: URL, error: EssError): boolean {
  return (isOfCluster(url) && NODE_AWAY.includes(error.code)) || isAway(error)
}

/** The same error, or what a status alone says: the answer to a HEAD has no problem, and that of a proxy neither. */
async function withStatus({ head }: Exchange, error: unknown): Promise<unknown> {
  if (!(error instanceof EssError) || error.code !== 'not-ess') return error
  const status = await head.then(({ statusCode }) => statusCode ?? 0).catch(() => 0)
  if (!STATUSES_AWAY.includes(status)) return error
  return new EssError(
    'node-away',
    'The part of this server that has the link cannot be reached now. The link may still be good: try again in a minute.',
    { cause: error },
  )
}
