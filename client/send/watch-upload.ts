import {
  type EssError,
  isTerminal,
  PROBLEM_MEDIA_TYPE,
  STATUS_MEDIA_TYPES,
  StatusDecoder,
  type StatusEvent,
} from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { exchange } from '../http/exchange.js'
import { connectionGivenUp, watchSilence } from '../http/silence.js'
import type { SendOptions } from './send-options.js'
import type { UploadResource } from './upload-resource.js'

/** A receiver may pause for that long, and longer. */
const SILENCE_MS = 20_000
/** A sender that waits gets a sign of life every 30 s, unless the operator says otherwise. */
const WAITING_SILENCE_MS = 75_000

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
  let stop: (() => void) | undefined
  const isGivenUp = async (signal: AbortSignal) => {
    const resource = resourceOf()
    if (resource === undefined) return false
    const state = await askState(resource, { ...options, signal })
    if (state === undefined) return false
    if (state.event === 'interrupted') return state.side !== 'receiver' || hasReceiver
    return isTerminal(state) || (state.event === 'connected' && !hasReceiver)
  }
  return {
    see(event) {
      count++
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

/** What the server would tell a follower that comes now, after `opened`. Rejects if it can't be asked. */
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
    const { statusCode } = await asking.head
    if (statusCode !== 200) return undefined
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
