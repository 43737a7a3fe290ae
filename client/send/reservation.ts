import type { IncomingMessage } from 'node:http'
import { EssError, PROBLEM_MEDIA_TYPE, QUERY, ROUTES, safeFileName, urlAtServer } from '../../shared/index.js'
import { bearer } from '../http/bearer.js'
import { DEFAULT_SERVER } from '../http/default-server.js'
import { emptyBody } from '../http/empty-body.js'
import { type Exchange, exchange } from '../http/exchange.js'
import { notEss, readRefusal } from '../http/refusal.js'
import { noteHeaders, resumeHeader } from './lazy-body.js'
import type { SendOptions } from './send-options.js'
import { expectSoon, JSON_MEDIA_TYPE, readText } from './short-answer.js'
import type { Source } from './source.js'
import { isUrl, type UploadResource } from './upload-resource.js'

/** How long the cancellation of a reservation may take. */
const CANCEL_MS = 1_000

/** Reserves a socket for `source`. Throws EssError `method-not-allowed` if the server takes no reservations. */
export async function reserve(source: Source, options: SendOptions): Promise<UploadResource> {
  const url = reservationUrl(source, options)
  const asking = exchange('POST', url, {
    headers: {
      accept: `${JSON_MEDIA_TYPE}, ${PROBLEM_MEDIA_TYPE};q=0.9`,
      'content-length': '0',
      // A receiver may look at the link before the upload begins.
      ...noteHeaders(source),
      // So that the link goes on at another node, if this one stops before the upload begins.
      ...resumeHeader(source),
      ...bearer(url, options),
    },
    body: emptyBody(),
    signal: options.signal,
  })
  try {
    const resource = await expectSoon(asking, url, readReservation(asking, url))
    asking.close()
    return resource
  } catch (error) {
    asking.reset()
    throw error
  }
}

/**
 * Cancels a reservation whose upload won't come, so that its receiver doesn't wait in vain. If the server can't be
 * told within a second, the reservation expires by itself.
 */
export async function cancelReservation({ upload }: UploadResource, options: SendOptions): Promise<void> {
  const asking = exchange('DELETE', upload, {
    headers: { accept: PROBLEM_MEDIA_TYPE, 'content-length': '0', ...bearer(upload, options) },
    body: emptyBody(),
  })
  const timer = setTimeout(
    () => asking.fail(new EssError('connection-lost', 'The server did not answer the cancellation.')),
    CANCEL_MS,
  )
  try {
    await asking.head
    asking.close()
  } catch {
    // The caller reports the upload's failure, which came first.
    asking.reset()
  } finally {
    clearTimeout(timer)
  }
}

async function readReservation(asking: Exchange, url: URL): Promise<UploadResource> {
  const head = await asking.head
  if (head.statusCode === 404 || head.statusCode === 405) throw await withoutReservations(asking, head, url)
  return await readResource(asking, url)
}

/** Reads the upload resource in the answer to a request that opens a socket. Throws the server's refusal, or `not-ess`. */
export async function readResource(asking: Exchange, url: URL): Promise<UploadResource> {
  const head = await asking.head
  if ((head.statusCode ?? 0) >= 400) throw await readRefusal(asking, head, url)
  const { upload, events } = parseObject(await readText(asking, head, url))
  if (head.statusCode !== 201 || !isUrl(upload, url) || !isUrl(events, url)) throw notEss(head, url)
  return { upload: new URL(upload, url), events: new URL(events, url) }
}

/**
 * Without reservations, our server answers `not-found` or `method-not-allowed`. A 404 without such a problem isn't
 * ESS.
 */
async function withoutReservations(asking: Exchange, head: IncomingMessage, url: URL): Promise<EssError> {
  const refusal = await readRefusal(asking, head, url)
  if (refusal.code !== 'not-found' && refusal.code !== 'method-not-allowed') return refusal
  return new EssError(
    'method-not-allowed',
    `${url.origin} takes no reservations. Send without --reserve, or ask its operator for --reservations.`,
    { cause: refusal },
  )
}

function reservationUrl(source: Source, options: SendOptions): URL {
  const url = urlAtServer(options.server ?? DEFAULT_SERVER, ROUTES.reserve)
  const name = safeFileName(options.name ?? source.name ?? '')
  if (name !== undefined) url.searchParams.set(QUERY.filename, name)
  if (options.ttl !== undefined) url.searchParams.set(QUERY.ttl, String(options.ttl))
  return url
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    // Any object can be asked for a member; the caller checks the value.
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    // It isn't JSON, so it isn't a reservation, and the caller says so.
    return {}
  }
}
