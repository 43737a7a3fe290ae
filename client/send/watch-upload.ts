import {
  EssError,
  isTerminal,
  PROBLEM_MEDIA_TYPE,
  STATUS_MEDIA_TYPES,
  StatusDecoder,
  type StatusEvent,
} from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { exchange } from '../http/exchange.js'
import { readRefusal } from '../http/refusal.js'
import { connectionGivenUp, watchSilence } from '../http/silence.js'
import type { SendOptions } from './send-options.js'
import type { UploadResource } from './upload-resource.js'

/** A receiver may pause for that long, and longer. */
const SILENCE_MS = 20_000
/** A sender that waits gets a sign of life every 30 s, unless the operator says otherwise. */
const WAITING_SILENCE_MS = 75_000
/** How often in a row other nodes must have missed the node of a transfer that runs. It may only be slow, and they too. */
const MISSED_TIMES = 2

/** Watches the connections of one upload. */
export interface UploadWatch {
  /** Tell it each event that comes. */
  see(event: StatusEvent): void
  stop(): void
}

/**
 * Calls `fail` when an upload's connection is silent and the server no longer counts on it, or has told us things that
 * did not arrive. Before the server has said that the upload can go on by another request, it watches nothing.
 */
export function watchUpload(
  resourceOf: () => UploadResource | undefined,
  options: SendOptions,
  fail: (reason: EssError) => void,
): UploadWatch {
  let count = 0
  let hasReceiver = false
  let timesMissed = 0
  /** True until a receiver has come. */
  let mayExpire = true
  /** When the link is over without a receiver, by `performance.now`. */
  let endsAtMs = Number.POSITIVE_INFINITY
  let stop: (() => void) | undefined
  const isGivenUp = async (signal: AbortSignal) => {
    const resource = resourceOf()
    if (resource === undefined) return false
    // The server says at that moment that the link has expired. Where it is frozen, other nodes may not know the link.
    if (performance.now() > endsAtMs) return true
    const state = await askState(resource, { ...options, signal }).catch(missed)
    if (state === 'missed') return !hasReceiver || ++timesMissed >= MISSED_TIMES
    timesMissed = 0
    if (state === undefined) return false
    if (state.event === 'interrupted') return state.side !== 'receiver' || hasReceiver
    return isTerminal(state) || (state.event === 'connected' && !hasReceiver)
  }
  return {
    see(event) {
      count++
      timesMissed = 0
      if (event.event === 'opened' && mayExpire) endsAtMs = performance.now() + 1000 * event.ttl
      if (event.event === 'connected') [mayExpire, endsAtMs] = [false, Number.POSITIVE_INFINITY]
      if (event.event === 'connected' || event.event === 'resumed') hasReceiver = true
      if (event.event === 'interrupted' || event.event === 'waiting') hasReceiver = false
      if (event.event !== 'opened' || event.resumeWithin === undefined) return
      stop ??= watchSilence({
        news: () => count,
        patienceMs: () => (hasReceiver ? SILENCE_MS : WAITING_SILENCE_MS),
        isGivenUp,
        lose: () => fail(connectionGivenUp()),
      })
    },
    stop: () => stop?.(),
  }
}

/** For a refusal by a node to which the transfer's own node is lost: it is frozen, or has died. Throws any other error. */
function missed(error: unknown): 'missed' {
  if (error instanceof EssError && error.code === 'node-away') return 'missed'
  throw error
}

/** What the server would tell a follower that comes now, after `opened`. Rejects if it can't be asked, or refuses. */
export async function askState(
  { events: url }: UploadResource,
  options: SendOptions,
): Promise<StatusEvent | undefined> {
  const accept = `${STATUS_MEDIA_TYPES.ndjson}, ${PROBLEM_MEDIA_TYPE};q=0.9`
  const asking = exchange('GET', url, {
    headers: { accept, ...bearer(url, options) },
    signal: options.signal,
  })
  try {
    const head = await asking.head
    if (head.statusCode !== 200) throw await readRefusal(asking, head, url)
    const decoder = new StatusDecoder()
    for await (const chunk of asking.body) {
      const state = decoder.push(String(chunk)).find(({ event }) => event !== 'opened')
      if (state !== undefined) return state
    }
    return undefined
  } finally {
    asking.reset()
  }
}
