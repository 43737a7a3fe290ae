import { EssError, HEADERS, PROBLEM_MEDIA_TYPE, QUERY } from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { emptyBody } from '../http/empty-body.js'
import { exchange } from '../http/exchange.js'
import type { KnownUpload } from './known-upload.js'
import { descriptionHeaders } from './lazy-body.js'
import type { ReadSource } from './read-so-far.js'
import { readResource } from './reservation.js'
import type { SendOptions } from './send-options.js'
import { expectSoon, JSON_MEDIA_TYPE } from './short-answer.js'
import { isOfCluster, type UploadResource } from './upload-resource.js'

/**
 * For so long the nodes of a cluster remember that a transfer has ended. A sender that was away for longer could open a
 * link again that has delivered its file.
 */
const REMEMBERED_MS = 600_000

/** The statuses that say that there is nothing to open again: it has ended, or no node can do that. */
const REFUSED: readonly number[] = [404, 405, 409, 410]

/**
 * True if another node may open this upload again: only a cluster gives tokens that its other nodes can check. Other
 * servers, older ones too, would take the request for an upload without a byte.
 */
export function mayReopen({ resource, isConnected, secondsLeft, silentMs }: KnownUpload): boolean {
  if (!isOfCluster(resource)) return false
  return silentMs < REMEMBERED_MS && (isConnected || secondsLeft > 0)
}

/**
 * Opens the link again at another node of the cluster, after its own one has let it go or died. Resolves with the upload
 * resource there; if the link is still alive somewhere, with that one's. Rejects with the server's refusal, or
 * `server-unreachable`.
 */
export async function reopen(
  upload: KnownUpload,
  source: ReadSource,
  options: SendOptions,
): Promise<UploadResource> {
  const url = new URL(upload.resource.upload)
  url.searchParams.set(QUERY.ttl, String(Math.max(1, Math.ceil(upload.secondsLeft))))
  const { size } = source
  const asking = exchange('POST', url, {
    headers: {
      ...descriptionHeaders(source, options),
      accept: `${JSON_MEDIA_TYPE}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
      'content-length': '0',
      [HEADERS.essReopen]: upload.id,
      [HEADERS.essConnected]: upload.isConnected ? '?1' : '?0',
      [HEADERS.uploadOffset]: String(upload.isConnected ? offsetIn(source, upload.bytes) : 0),
      ...(size !== undefined && { [HEADERS.uploadLength]: String(size) }),
      ...bearer(url, options),
    },
    body: emptyBody(),
    signal: options.signal,
  })
  try {
    const resource = await expectSoon(asking, url, readResource(asking, url))
    asking.close()
    return resource
  } catch (error) {
    asking.reset()
    throw error
  }
}

/** True for the word of a node that this upload can't be opened again. */
export function isReopeningRefused(error: unknown): boolean {
  return error instanceof EssError && REFUSED.includes(error.status)
}

/**
 * The byte to begin at when both sides are back. The receiver then asks for the one that it needs. The server's last
 * word may be a moment old, and what a pipe keeps moves on with what was read of it.
 */
function offsetIn({ reach = Number.POSITIVE_INFINITY, readTo }: ReadSource, told: number): number {
  return Math.max(told, readTo - reach)
}
