import { PROBLEM_MEDIA_TYPE } from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { emptyBody } from '../http/empty-body.js'
import { exchange } from '../http/exchange.js'
import type { ReceiveOptions } from './offer.js'

/** How long it may take to tell the server. Its sender then waits as for any receiver that lost its connection. */
const GIVE_UP_MS = 1_000

/** Tells the server that this receiver stops for good. Never rejects. */
export async function giveUp(url: URL, { token, server }: ReceiveOptions): Promise<void> {
  const telling = exchange('DELETE', url, {
    headers: { accept: PROBLEM_MEDIA_TYPE, 'content-length': '0', ...bearer(url, { token, server }) },
    body: emptyBody(),
    signal: AbortSignal.timeout(GIVE_UP_MS),
  })
  // Whatever comes, there is nothing left to do.
  await telling.head.catch(() => undefined)
  telling.reset()
}
