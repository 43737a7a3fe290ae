import { HEADERS, PROBLEM_MEDIA_TYPE } from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { emptyBody } from '../http/empty-body.js'
import { exchange } from '../http/exchange.js'
import { Patience } from '../http/patience.js'
import { isOfCluster } from './cluster-link.js'
import { type OpenOffer, type ReceiveOptions, rangeFrom, requestDownload, tagOf } from './offer.js'

/** A shorter download has hardly met the end of its node, unless the end of its connection says so. */
const MIN_MS = 1_000
/** How long it may take until a node that died is known to be dead, and its sender is at another one. */
const PATIENCE_MS = 45_000
/** How long one request may take. */
const ASK_MS = 15_000

/** A download that is whole, and in its place. */
export interface Whole {
  readonly url: URL
  readonly offer: OpenOffer
  /** Bytes of the body. */
  readonly bytes: number
  /** How long it took. */
  readonly ms: number
  /** True if the server has ended its side of the connection in good order, too. */
  readonly isEnded: boolean
}

/**
 * Call this when we have closed the connection of a download in good order. If its node stopped or died behind the last byte,
 * no other node knows that, and the sender waits there for a receiver that comes back. So we look whether the link is over,
 * and if it isn't, we tell that node that we have everything. Never rejects.
 */
export async function seeOff(
  { url, offer, bytes, ms, isEnded }: Whole,
  options: ReceiveOptions,
): Promise<void> {
  if (!offer.isResumable || !isOfCluster(url) || (isEnded && ms < MIN_MS)) return
  const patience = new Patience(PATIENCE_MS, options.signal)
  try {
    for (let tries = 0; !patience.isOver; tries++) {
      const status = await look(url, options)
      if (isOver(status)) return
      // At the first look, the end of our connection may be on its way.
      if (status === 200 && tries > 0 && (await tell(url, offer, bytes, options))) return
      await patience.pause()
    }
  } catch {
    // Interrupted. The download is whole all the same.
  }
}

/** The status of the link; undefined if no server could be asked. */
async function look(url: URL, options: ReceiveOptions): Promise<number | undefined> {
  const asking = requestDownload('HEAD', url, soon(options), false, tagOf(url))
  try {
    return (await asking.head).statusCode
  } catch {
    // The next look may reach one.
    return undefined
  } finally {
    asking.reset()
  }
}

/** True if the node of the sender knows it now. */
async function tell(url: URL, offer: OpenOffer, bytes: number, options: ReceiveOptions): Promise<boolean> {
  // Where the size isn't known, only the rest shows that there is none.
  const telling = offer.bodySize === undefined ? askForRest() : sayReceived()
  try {
    const { statusCode } = await telling.head
    if (statusCode === 200) {
      for await (const _ of telling.body) return false
      telling.close()
    }
    return statusCode === 200 || statusCode === 204 || isOver(statusCode)
  } catch {
    // The next try may get through.
    return false
  } finally {
    telling.reset()
  }

  function askForRest() {
    return requestDownload('GET', url, soon(options), false, rangeFrom(bytes, offer))
  }

  function sayReceived() {
    const headers = {
      accept: PROBLEM_MEDIA_TYPE,
      'content-length': '0',
      [HEADERS.essReceived]: String(bytes),
      ...bearer(url, options),
    }
    return exchange('DELETE', url, { headers, body: emptyBody(), signal: soon(options).signal })
  }
}

function isOver(status: number | undefined): boolean {
  return status === 404 || status === 410
}

function soon(options: ReceiveOptions): ReceiveOptions & { readonly signal: AbortSignal } {
  const late = AbortSignal.timeout(ASK_MS)
  return { ...options, signal: options.signal === undefined ? late : AbortSignal.any([options.signal, late]) }
}
